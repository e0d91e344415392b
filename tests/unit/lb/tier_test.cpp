#include "user/lb/tier.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

#include "tests/support/flow_fixture.h"

namespace xdplb {
namespace {

MacAddr member_mac(uint32_t member) {
  return MacAddr{{2, 0, 0, 0, 0, static_cast<uint8_t>(member + 1)}};
}

LbTier tier_of(uint32_t members, uint32_t own = 0) {
  LbTier tier;
  tier.own_index = own;
  for (uint32_t i = 0; i < members; ++i) tier.members.push_back(member_mac(i));
  return tier;
}

// Flows of `n` differ in their source address.
FlowKey addresses(uint32_t n) {
  return flow_key(n * 50'000);
}

}  // namespace

TEST_CASE("tier: one balancer, or none, is no tier") {
  CHECK_FALSE(Tier().exists());
  CHECK_FALSE(Tier(tier_of(1), 0).exists());
  CHECK(Tier(tier_of(2), 0).exists());
}

TEST_CASE("tier: an owner depends on the addresses alone, and all members agree on it") {
  for (uint32_t n = 0; n < 1000; ++n) {
    const uint32_t owner = Tier(tier_of(5, 0), 7).owner(addresses(n), kAllLive);
    for (uint32_t own = 0; own < 5; ++own) REQUIRE(Tier(tier_of(5, own), 7).owner(addresses(n), kAllLive) == owner);
    FlowKey other_ports = addresses(n);
    other_ports.src_port = 1;
    other_ports.dst_port = 2;
    other_ports.protocol = 17;
    REQUIRE(Tier(tier_of(5), 7).owner(other_ports, kAllLive) == owner);
  }
}

TEST_CASE("tier: the members' order does not matter, the seed does") {
  LbTier reversed = tier_of(5);
  std::reverse(reversed.members.begin(), reversed.members.end());
  uint32_t moved = 0;
  for (uint32_t n = 0; n < 1000; ++n) {
    const uint32_t owner = Tier(tier_of(5), 7).owner(addresses(n), kAllLive);
    REQUIRE(Tier(reversed, 7).owner(addresses(n), kAllLive) == 4 - owner);
    moved += Tier(tier_of(5), 8).owner(addresses(n), kAllLive) == owner ? 0 : 1;
  }
  CHECK(moved > 700);
  CHECK(Tier(tier_of(5), 7).agreement() == Tier(tier_of(5, 3), 7).agreement());
  CHECK(Tier(tier_of(5), 7).agreement() != Tier(tier_of(5), 8).agreement());
  CHECK(Tier(tier_of(5), 7).agreement() != Tier(tier_of(4), 7).agreement());
  CHECK(Tier(tier_of(5), 7).agreement() != Tier(reversed, 7).agreement());
}

TEST_CASE("tier: shares are equal; who goes leaves its own to the others, and nobody else's moves") {
  const Tier tier(tier_of(5), 7);
  std::map<uint32_t, int> share;
  for (uint32_t n = 0; n < 10'000; ++n) {
    const uint32_t owner = tier.owner(addresses(n), kAllLive);
    ++share[owner];
    const uint32_t left = tier.owner(addresses(n), kAllLive & ~TierMask{1 << 3});
    REQUIRE((owner == 3 ? left != 3 : left == owner));
    REQUIRE(tier.owner(addresses(n), 0) == 0);  // alone: ours
  }
  REQUIRE(share.size() == 5);
  for (const auto& [member, packets] : share) {
    CAPTURE(member);
    CHECK(packets > 1850);
    CHECK(packets < 2150);
  }
}

TEST_CASE("tier: 64 members") {
  const Tier tier(tier_of(64, 63), 7);
  std::map<uint32_t, int> share;
  for (uint32_t n = 0; n < 6400; ++n) ++share[tier.owner(addresses(n), kAllLive)];
  CHECK(share.size() == 64);
  CHECK(tier.owner(addresses(1), TierMask{1} << 63) == 63);
}

TEST_CASE("tier: a peer is known by its MAC, and we are none") {
  const Tier tier(tier_of(3, 1), 0);
  CHECK(tier.is_peer(member_mac(0)));
  CHECK_FALSE(tier.is_peer(member_mac(1)));
  CHECK(tier.is_peer(member_mac(2)));
  CHECK_FALSE(tier.is_peer(member_mac(3)));
}

// Balancers of different releases stand in one tier: these never change.
TEST_CASE("tier: golden owners") {
  const Tier tier(tier_of(4), 20240229);
  std::string owners;
  for (uint32_t n = 0; n < 32; ++n) owners += static_cast<char>('0' + tier.owner(addresses(n), kAllLive));
  CHECK(owners == "03011003301021333232112102302212");
}

}  // namespace xdplb
