#include "user/net/parse.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "tests/support/packet.h"
#include "tests/support/parse_invariants.h"
#include "user/net/parse_common.h"

namespace xdplb {
namespace {

using namespace test;

constexpr unsigned kV4 = 0x0800, kV6 = 0x86dd;

const Bytes kOptions = hex("01010101 94040000");  // no-operations, router alert

Bytes ah(unsigned next_header) {  // four 4-byte units beyond the first two: 24 bytes
  return Bytes{static_cast<uint8_t>(next_header), 4} + fill(22);
}

Bytes quoted4(unsigned protocol, const Bytes& l4, unsigned fragment = 0, const Bytes& options = {}) {
  return ipv4(protocol, l4, {.src = kVip4, .dst = kClient4, .fragment = fragment, .options = options});
}

Bytes error4(const Bytes& quoted, unsigned type = 3, unsigned code = 4) {
  return ether(kV4) + ipv4(1, icmp(type, code, be32(1400) + quoted), {.src = {203, 0, 113, 9}});
}

Bytes quoted6(unsigned next_header, const Bytes& payload) {
  return ipv6(next_header, payload, {.src = kVip6, .dst = kClient6});
}

Bytes error6(const Bytes& quoted, unsigned type = 2) {
  return ether(kV6) +
         ipv6(58, icmp(type, 0, be32(1280) + quoted), {.src = hex("20010db8 0000ffff 0000000000000009")});
}

// One of every kind, through every header that is walked over. Also what is truncated at every byte.
std::vector<Bytes> accepted_frames() {
  const Bytes datagram = udp(1000, 53, fill(9));
  const Bytes segment = tcp(1000, 80, 0x02);
  const Bytes association = be16(1000) + be16(36412) + fill(8);
  return {
      ether(kV4) + ipv4(17, datagram),
      ether(kV4) + ipv4(6, segment),
      ether(kV4) + ipv4(132, association),
      ether(kV4) + ipv4(50, fill(16)),
      ether(kV4) + ipv4(17, datagram, {.options = kOptions}),
      ether(kV4) + ipv4(6, segment, {.options = fill(40, 1)}),
      ether(0x8100) + vlan(kV4) + ipv4(17, datagram),
      ether(0x88a8) + vlan(0x8100) + vlan(kV6) + ipv6(6, segment),
      ether(kV4) + ipv4(17, datagram.size() % 8 == 0 ? datagram : udp(1, 2, fill(8)), {.fragment = 0x2000}),
      ether(kV4) + ipv4(17, fill(7), {.fragment = 0x0010}),
      ether(kV4) + ipv4(1, icmp(8, 0, fill(12))),
      error4(quoted4(6, segment)),
      error4(quoted4(17, datagram, 0x2000, kOptions), 11, 0),
      error4(quoted4(6, fill(8), 0x0010), 12, 0),
      ether(kV6) + ipv6(17, datagram),
      ether(kV6) + ipv6(6, segment),
      ether(kV6) + ipv6(59, {}),
      ether(kV6) + ipv6(0, extension(43) + extension(60, 2) + extension(51) + ah(6) + segment),
      ether(kV6) + ipv6(44, fragment6(17, 0) + datagram),
      ether(kV6) + ipv6(44, fragment6(17, 1) + udp(1, 2, fill(8))),
      ether(kV6) + ipv6(60, extension(44) + fragment6(60, 1) + extension(17) + udp(1, 2, fill(8))),
      ether(kV6) + ipv6(44, fragment6(17, 0x0040) + fill(3)),
      ether(kV6) + ipv6(58, icmp(128, 0, fill(4))),
      error6(quoted6(6, segment)),
      error6(quoted6(0, extension(44) + fragment6(17, 1) + datagram), 3),
      error6(quoted6(44, fragment6(6, 0x0008) + fill(8)), 1),
      error6(quoted6(51, ah(6) + segment), 4),
  };
}

PacketInfo parsed(const Bytes& frame) {
  PacketInfo info;
  const Reason reason = parse_packet(frame, info);
  CHECK(reason_name(reason) == "none");
  return info;
}

Reason reason_of(const Bytes& frame) {
  const ExactBytes exact(frame);
  PacketInfo info;
  return parse_packet(exact.span(), info);
}

TEST_CASE("multiples of 65535 are told by one multiplication", "[parse]") {
  std::mt19937_64 random(20);
  const auto check = [](uint64_t number) { REQUIRE(is_multiple_of_65535(number) == (number % 65535 == 0)); };
  for (uint64_t number = 0; number < 200'000; ++number) check(number);
  for (const uint64_t factor : {uint64_t{1} << 32, ~uint64_t{0} / 65535}) {
    for (uint64_t off = 0; off < 3; ++off) check(factor * 65535 - off);
  }
  for (uint32_t i = 0; i < 100'000; ++i) {
    const uint64_t number = random() >> (i % 64);
    check(number);
    check(number - number % 65535);
  }
}

TEST_CASE("what is cut off anywhere is refused, without a read beyond the end", "[net][parse]") {
  for (const Bytes& frame : accepted_frames()) {
    for (size_t len = 0; len < frame.size(); ++len) {
      CAPTURE(frame.size(), len);
      CHECK(reason_of(Bytes(frame.begin(), frame.begin() + static_cast<long>(len))) != Reason::none);
    }
    const ExactBytes exact(frame);
    PacketInfo info;
    const Reason reason = parse_packet(exact.span(), info);
    CAPTURE(frame.size());
    CHECK(reason_name(reason) == "none");
    const char* const broken = broken_invariant(exact.span(), reason, info);
    CHECK(std::string(broken == nullptr ? "" : broken) == "");
  }
}

// The frame is cut and the IP length says so: what is missing is missing inside.
TEST_CASE("what is cut off inside an honest IP length keeps the invariants", "[net][parse]") {
  size_t refused = 0;
  for (const Bytes& frame : accepted_frames()) {
    if (frame[12] != 0x86 || frame[13] != 0xdd) continue;  // IPv6: no header checksum to mend
    for (size_t len = 54; len < frame.size(); ++len) {
      Bytes cut(frame.begin(), frame.begin() + static_cast<long>(len));
      cut[18] = static_cast<uint8_t>((len - 54) >> 8);
      cut[19] = static_cast<uint8_t>(len - 54);
      const ExactBytes exact(cut);
      PacketInfo info;
      const Reason reason = parse_packet(exact.span(), info);
      CAPTURE(frame.size(), len);
      const char* const broken = broken_invariant(exact.span(), reason, info);
      CHECK(std::string(broken == nullptr ? "" : broken) == "");
      if (reason != Reason::none) ++refused;
    }
  }
  CHECK(refused > 300);
}

TEST_CASE("every byte of every frame may be anything", "[net][parse]") {
  for (const Bytes& frame : accepted_frames())
    for (size_t at = 12; at < frame.size(); ++at)
      for (const unsigned value : {0x00u, 0x01u, 0x7fu, 0x80u, 0xffu}) {
        Bytes changed = frame;
        changed[at] = static_cast<uint8_t>(value);
        const ExactBytes exact(changed);
        PacketInfo info;
        const Reason reason = parse_packet(exact.span(), info);
        const char* const broken = broken_invariant(exact.span(), reason, info);
        if (broken == nullptr) continue;
        CAPTURE(frame.size(), at, value);
        FAIL_CHECK(broken);
      }
}

// Each case of a rule above is the long way's too. Here: that the short one takes what is common, and nothing else.
TEST_CASE("plain TCP and UDP go the short way, and no other frame", "[net][parse]") {
  const auto goes = [](const Bytes& frame) {
    const ExactBytes exact(frame);
    PacketInfo info;
    return parse_common(exact.span(), info);
  };
  for (const Bytes& l4 : {udp(1000, 53, fill(9)), udp(1, 2), tcp(1000, 80, 0x02)}) {
    const uint8_t protocol = l4.size() == 20 ? 6 : 17;
    CHECK(goes(ether(kV4) + ipv4(protocol, l4)));
    CHECK(goes(ether(kV6) + ipv6(protocol, l4)));
    CHECK(goes(ether(kV4) + ipv4(protocol, l4) + fill(20)));  // padding
    CHECK_FALSE(goes(ether(0x8100) + vlan(kV4) + ipv4(protocol, l4)));
    CHECK_FALSE(goes(ether(kV4) + ipv4(protocol, l4, {.options = kOptions})));
    CHECK_FALSE(goes(ether(kV4) + ipv4(protocol, l4, {.fragment = 0x2000})));
    CHECK_FALSE(goes(ether(kV4) + ipv4(protocol, l4, {.fragment = 0x0010})));
    CHECK_FALSE(goes(ether(kV4) + ipv4(132, l4)));
    CHECK_FALSE(goes(ether(kV6) + ipv6(0, extension(protocol) + l4)));
  }
}

TEST_CASE("the short way reads as the long one, whatever is changed", "[net][parse]") {
  std::mt19937 random(1);
  const std::vector<Bytes> frames = accepted_frames();
  size_t taken = 0, left = 0;
  for (uint32_t round = 0; round < 200'000; ++round) {
    Bytes frame = frames[random() % frames.size()];
    for (uint32_t changes = random() % 4; changes > 0; --changes) {
      // Mostly the lengths, types and flags of the headers; the addresses matter less.
      frame[12 + random() % std::min<size_t>(frame.size() - 12, 52)] = static_cast<uint8_t>(random());
    }
    if (random() % 4 == 0) frame.resize(14 + random() % (frame.size() - 13));
    const ExactBytes exact(frame);
    repair_ipv4_checksum(exact.span());
    PacketInfo common, any;
    const bool goes = parse_common(exact.span(), common);
    const Reason reason = parse_any(exact.span(), any);
    (goes ? taken : left)++;
    if (goes && (reason != Reason::none || !same_info(common, any))) {
      CAPTURE(round, frame.size());
      FAIL_CHECK(reason_name(reason));
    }
  }
  CHECK(taken > 10'000);
  CHECK(left > 10'000);
}

TEST_CASE("a frame longer than any device hands over is refused", "[net][parse]") {
  Bytes frame = ether(kV4) + ipv4(17, udp(1, 2));
  frame.resize(65535);
  CHECK(reason_of(frame) == Reason::none);
  frame.resize(65536);
  CHECK(reason_of(frame) == Reason::too_big);
}

TEST_CASE("IPv4-mapped addresses do not pass for IPv4 in an IPv6 header", "[net][parse]") {
  const Bytes mapped = hex("00000000 00000000 0000ffff 0a000000");
  CHECK(reason_of(ether(kV6) + ipv6(17, udp(1, 2), {.dst = mapped})) == Reason::ip_header);
  CHECK(reason_of(ether(kV6) + ipv6(17, udp(1, 2), {.src = mapped})) == Reason::ip_header);
}

TEST_CASE("a hop-by-hop header that is not the first is refused", "[net][parse]") {
  CHECK(reason_of(ether(kV6) + ipv6(60, extension(0) + extension(17) + udp(1, 2))) == Reason::extension_headers);
}

TEST_CASE("a fragment of a fragment is refused, an atomic one too", "[net][parse]") {
  const Bytes data = udp(1, 2, fill(8));
  for (const unsigned outer : {0u, 1u})
    CHECK(reason_of(ether(kV6) + ipv6(44, fragment6(44, outer) + fragment6(17, 0) + data)) ==
          Reason::extension_headers);
}

TEST_CASE("the flow of an error is that of the packet inside, reversed", "[net][parse]") {
  const IpAddr client = IpAddr::v4(kClient4.data()), vip = IpAddr::v4(kVip4.data());
  const PacketInfo error = parsed(error4(quoted4(6, tcp(80, 1000))));
  const PacketInfo flow = parsed(ether(kV4) + ipv4(6, tcp(1000, 80)));
  CHECK(error.kind == PacketKind::icmp_error);
  CHECK(error.key == flow.key);
  CHECK(error.key.src == client);
  CHECK(error.key.dst == vip);

  // An error about an echo reply belongs where echo requests go.
  CHECK(parsed(error4(quoted4(1, icmp(0, 0, fill(4))))).key == parsed(ether(kV4) + ipv4(1, icmp(8, 0, fill(4)))).key);
}

TEST_CASE("the reversed key does not depend on which router sent the error", "[net][parse]") {
  const Bytes quoted = quoted4(17, udp(53, 1000));
  Bytes other_router = error4(quoted);
  PacketInfo a = parsed(other_router);
  other_router = ether(kV4) + ipv4(1, icmp(3, 4, be32(1400) + quoted), {.src = {198, 51, 100, 1}});
  CHECK(parsed(other_router).key == a.key);
}

}  // namespace
}  // namespace xdplb
