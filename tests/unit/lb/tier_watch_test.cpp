#include "user/lb/tier_watch.h"

#include <catch2/catch.hpp>

namespace xdplb {
namespace {

constexpr uint64_t kNow = 10 * kTierGoneAfterNs;

MacAddr member_mac(uint32_t member) {
  return MacAddr{{2, 0, 0, 0, 0, static_cast<uint8_t>(member + 1)}};
}

Tier tier(uint32_t own, uint64_t seed = 5) {
  return {LbTier{own, {member_mac(0), member_mac(1), member_mac(2)}}, seed};
}

}  // namespace

TEST_CASE("tier hello: what is encoded is decoded, padded or not") {
  for (const TierHello& hello : {TierHello{}, TierHello{0x0123456789abcdef, 0xfedcba9876543210, true}}) {
    const TierHelloBytes bytes = encode_hello(hello);
    CHECK(decode_hello(bytes) == hello);
    std::vector<uint8_t> padded(bytes.begin(), bytes.end());
    padded.resize(200, 0xff);
    CHECK(decode_hello(padded) == hello);
  }
}

TEST_CASE("tier hello: the bytes on the wire") {
  const TierHelloBytes bytes = encode_hello({0x0102030405060708, 0x1112131415161718, true});
  const uint8_t expected[32] = {'x', 'd', 'p', 'l', 'b', 't', 'r', 1, 1,    0,    0,    0,    0,    0,    0,    0,
                                1,   2,   3,   4,   5,   6,   7,   8, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18};
  CHECK(std::equal(expected, expected + 32, bytes.begin()));
}

TEST_CASE("tier hello: what is cut, foreign or of another version is none") {
  TierHelloBytes bytes = encode_hello({1, 2, false});
  for (size_t len = 0; len < 32; ++len) CHECK_FALSE(decode_hello(std::span(bytes).first(len)));
  for (size_t at = 0; at < 8; ++at) {
    bytes[at] ^= 1;
    CHECK_FALSE(decode_hello(bytes));
    bytes[at] ^= 1;
  }
  CHECK(decode_hello(bytes));
}

TEST_CASE("tier watch: two balancers find each other within two hellos, and lose each other in time") {
  TierWatch a(tier(0)), b(tier(1));
  CHECK(a.live(kNow) == 0);
  // Each says what it hears: at first nothing, so neither is sent anything.
  CHECK(b.heard(member_mac(0), a.hello(kNow), kNow));
  CHECK(b.live(kNow) == 0);
  CHECK(a.heard(member_mac(1), b.hello(kNow), kNow));
  CHECK(a.live(kNow) == 0b010);
  CHECK(b.heard(member_mac(0), a.hello(kNow), kNow));
  CHECK(b.live(kNow) == 0b001);
  CHECK(a.live(kNow + kTierGoneAfterNs - 1) == 0b010);
  CHECK(a.live(kNow + kTierGoneAfterNs) == 0);
}

TEST_CASE("tier watch: who does not hear us is sent nothing") {
  TierWatch a(tier(0));
  a.heard(member_mac(1), {a.tier().agreement(), 0b100, false}, kNow);
  CHECK(a.live(kNow) == 0);
  CHECK(a.hello(kNow).hears == 0b010);
  a.heard(member_mac(1), {a.tier().agreement(), 0b101, false}, kNow);
  CHECK(a.live(kNow) == 0b010);
}

TEST_CASE("tier watch: who leaves is gone at once, and back when it says hello again") {
  TierWatch a(tier(0));
  TierHello hello{a.tier().agreement(), 0b001, false};
  a.heard(member_mac(2), hello, kNow);
  CHECK(a.live(kNow) == 0b100);
  hello.leaves = true;
  a.heard(member_mac(2), hello, kNow);
  CHECK(a.live(kNow) == 0);
  CHECK(a.hello(kNow).hears == 0);
  hello.leaves = false;
  a.heard(member_mac(2), hello, kNow);
  CHECK(a.live(kNow) == 0b100);
}

TEST_CASE("tier watch: another seed or other members count as gone, and are told of") {
  TierWatch a(tier(0)), b(tier(1, 6));
  a.heard(member_mac(1), b.hello(kNow), kNow);
  b.heard(member_mac(0), a.hello(kNow), kNow);
  a.heard(member_mac(1), b.hello(kNow), kNow);
  CHECK(a.live(kNow) == 0);
  CHECK(a.disagreeing(kNow) == 0b010);
  CHECK(a.disagreeing(kNow + kTierGoneAfterNs) == 0);
}

TEST_CASE("tier watch: strangers, and our own address, are nobody") {
  TierWatch a(tier(0));
  CHECK_FALSE(a.heard(member_mac(3), {a.tier().agreement(), ~TierMask{0}, false}, kNow));
  CHECK_FALSE(a.heard(member_mac(0), {a.tier().agreement(), ~TierMask{0}, false}, kNow));
  CHECK(a.live(kNow) == 0);
}

}  // namespace xdplb
