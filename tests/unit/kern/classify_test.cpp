// kern/classify.h in user space: the very code that the kernel program runs.
#include "kern/classify.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <memory>

#include "tests/support/frame_builder.h"

using namespace xdplb::frames;

namespace {

constexpr auto kV4 = "10.0.0.1";
constexpr auto kV6 = "1000::1";

struct Case {
  const char* description;
  Bytes frame;
  const char* dst;  // nullptr: nobody's
  uint8_t protocol = 0;
  int flags = 0;
  uint16_t dst_port = 0;
};

// On the heap and exactly as long as the frame, so that AddressSanitizer sees a read beyond it.
bool classify(const Bytes& frame, size_t len_bytes, xdplb_packet& packet) {
  const auto exact = std::make_unique<uint8_t[]>(len_bytes);
  std::memcpy(exact.get(), frame.data(), len_bytes);
  return xdplb_classify(exact.get(), exact.get() + len_bytes, &packet) != 0;
}

bool are_same(const xdplb_packet& a, const xdplb_packet& b) {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

void check(const Case& c) {
  INFO(c.description);
  xdplb_packet packet;
  REQUIRE(classify(c.frame, c.frame.size(), packet) == (c.dst != nullptr));
  if (c.dst == nullptr) return;
  CHECK(Bytes(packet.dst.bytes, packet.dst.bytes + 16) == vip_key(c.dst));
  CHECK(int(packet.protocol) == int(c.protocol));
  CHECK(int(packet.flags) == c.flags);
  CHECK(packet.dst_port == c.dst_port);
}

Bytes with_byte(Bytes frame, size_t offset, uint8_t value) {
  frame.at(offset) = value;
  return frame;
}

Bytes v6(uint8_t next, const Bytes& rest) {
  return ether(kIpv6, ipv6(kV6, next, rest));
}

Bytes v4(uint8_t protocol, const Bytes& rest, size_t option_words = 0, uint16_t fragment_field = 0) {
  return ether(kIpv4, ipv4(kV4, protocol, rest, option_words, fragment_field));
}

// `count` destination options headers of eight bytes, then TCP to port 80.
Bytes options_chain(int count) {
  Bytes rest = transport(80);
  for (int i = 0; i < count; i++) rest = extension(i == 0 ? kTcp : kDestination, 0, rest);
  return v6(count == 0 ? kTcp : kDestination, rest);
}

}  // namespace

TEST_CASE("classify: IPv4") {
  const Bytes tcp = v4(kTcp, transport(80));
  check({"TCP", tcp, kV4, kTcp, XDPLB_PACKET_PORTS, 80});
  check({"UDP", v4(kUdp, transport(65535)), kV4, kUdp, XDPLB_PACKET_PORTS, 65535});
  check({"SCTP", v4(kSctp, transport(1)), kV4, kSctp, XDPLB_PACKET_PORTS, 1});
  check({"one option word", v4(kTcp, transport(80), 1), kV4, kTcp, XDPLB_PACKET_PORTS, 80});
  check({"ten option words", v4(kTcp, transport(80), 10), kV4, kTcp, XDPLB_PACKET_PORTS, 80});
  check({"don't fragment", v4(kTcp, transport(80), 0, 0x4000), kV4, kTcp, XDPLB_PACKET_PORTS, 80});
  check({"first fragment", v4(kTcp, transport(80), 0, 0x2000), kV4, kTcp, XDPLB_PACKET_FRAGMENT});
  check({"middle fragment", v4(kUdp, transport(80), 0, 0x2010), kV4, kUdp, XDPLB_PACKET_FRAGMENT});
  check({"last fragment", v4(kUdp, transport(80), 0, 0x0001), kV4, kUdp, XDPLB_PACKET_FRAGMENT});
  check({"ICMP", v4(kIcmp, icmp(8)), kV4, kIcmp, XDPLB_PACKET_ICMP});
  check({"ICMP fragment", v4(kIcmp, icmp(8), 0, 1), kV4, kIcmp, XDPLB_PACKET_ICMP | XDPLB_PACKET_FRAGMENT});
  check({"ICMP type 135 is no neighbour discovery", v4(kIcmp, icmp(135)), kV4, kIcmp, XDPLB_PACKET_ICMP});
  check({"ICMPv6 in IPv4 is a protocol like others", v4(kIcmpv6, icmp(135)), kV4, kIcmpv6});
  check({"AH in IPv4 is a protocol", v4(kAh, authentication(kTcp, 4, transport(80))), kV4, kAh});
  check({"ESP", v4(kEsp, transport(80)), kV4, kEsp});
  check({"header length 4", with_byte(tcp, 14, 0x44), nullptr});
  check({"header length 0", with_byte(tcp, 14, 0x40), nullptr});
  check({"header length beyond the frame", with_byte(tcp, 14, 0x4f), nullptr});
  check({"version 6 under IPv4's EtherType", with_byte(tcp, 14, 0x65), nullptr});
}

TEST_CASE("classify: IPv6 and its extension headers") {
  const Bytes tcp = v6(kTcp, transport(80));
  const int ports = XDPLB_PACKET_PORTS;
  check({"TCP", tcp, kV6, kTcp, ports, 80});
  check({"UDP", v6(kUdp, transport(53)), kV6, kUdp, ports, 53});
  check({"SCTP", v6(kSctp, transport(9)), kV6, kSctp, ports, 9});
  check({"hop by hop", v6(kHopByHop, extension(kTcp, 0, transport(80))), kV6, kTcp, ports, 80});
  check({"routing, 24 bytes", v6(kRouting, extension(kUdp, 2, transport(80))), kV6, kUdp, ports, 80});
  check({"longest options", v6(kDestination, extension(kTcp, 255, transport(80))), kV6, kTcp, ports, 80});
  check({"authentication", v6(kAh, authentication(kTcp, 4, transport(80))), kV6, kTcp, ports, 80});
  check(
      {"hop by hop, routing, authentication, destination",
       v6(kHopByHop, extension(kRouting, 1,
                               extension(kAh, 0, authentication(kDestination, 1, extension(kUdp, 0, transport(7)))))),
       kV6, kUdp, ports, 7});
  check({"mobility, HIP, shim6", v6(135, extension(139, 0, extension(140, 0, extension(kTcp, 0, transport(80))))),
         kV6, kTcp, ports, 80});
  check({"atomic fragment", v6(kFragment, fragment(kTcp, 0, transport(80))), kV6, kTcp, ports, 80});
  check(
      {"reserved bits of an atomic fragment", v6(kFragment, fragment(kTcp, 6, transport(80))), kV6, kTcp, ports, 80});
  check({"first fragment", v6(kFragment, fragment(kTcp, 1, transport(80))), kV6, kTcp, XDPLB_PACKET_FRAGMENT});
  check({"last fragment", v6(kFragment, fragment(kTcp, 8, transport(80))), kV6, kTcp, XDPLB_PACKET_FRAGMENT});
  check({"fragment of ICMPv6", v6(kFragment, fragment(kIcmpv6, 8, icmp(135))), kV6, kIcmpv6,
         XDPLB_PACKET_FRAGMENT | XDPLB_PACKET_ICMP});
  check({"fragment's length byte is reserved",
         with_byte(v6(kFragment, fragment(kTcp, 0, transport(80))), 14 + 40 + 1, 200), kV6, kTcp, ports, 80});
  check({"ESP", v6(kEsp, transport(80)), kV6, kEsp});
  check({"no next header", v6(kNoNext, {}), kV6, kNoNext});
  check({"ICMP in IPv6 is a protocol like others", v6(kIcmp, icmp(8)), kV6, kIcmp});
  check({"eight headers", options_chain(8), kV6, kTcp, ports, 80});
  check({"nine headers", options_chain(9), kV6, kDestination, XDPLB_PACKET_BROKEN});
  check({"header beyond the frame", v6(kDestination, with_byte(extension(kTcp, 0, {}), 1, 1)), kV6, kDestination,
         XDPLB_PACKET_BROKEN});
  check({"version 4 under IPv6's EtherType", with_byte(tcp, 14, 0x40), nullptr});
  check({"an IPv4-mapped destination", ether(kIpv6, ipv6("::ffff:10.0.0.1", kTcp, transport(80))), nullptr});
  check({"an IPv4-compatible destination", ether(kIpv6, ipv6("::10.0.0.1", kTcp, transport(80))), "::10.0.0.1", kTcp,
         ports, 80});
}

TEST_CASE("classify: neighbour discovery stays with the host") {
  for (int type = 0; type < 256; type++) {
    const bool is_nd = type >= 133 && type <= 137;
    const int flags = XDPLB_PACKET_ICMP | (is_nd ? XDPLB_PACKET_ND : 0);
    check({"ICMPv6", v6(kIcmpv6, icmp(static_cast<uint8_t>(type))), kV6, kIcmpv6, flags});
  }
  check({"behind hop-by-hop options", v6(kHopByHop, extension(kIcmpv6, 0, icmp(135))), kV6, kIcmpv6,
         XDPLB_PACKET_ICMP | XDPLB_PACKET_ND});
}

TEST_CASE("classify: link layer") {
  const Bytes ip = ipv4(kV4, kTcp, transport(80));
  const Bytes ip6 = ipv6(kV6, kUdp, transport(80));
  const int ports = XDPLB_PACKET_PORTS;
  check({"one tag", ether(kVlan, tag(kIpv4, ip)), kV4, kTcp, ports, 80});
  check({"802.1ad and 802.1Q", ether(kQinQ, tag(kVlan, tag(kIpv6, ip6))), kV6, kUdp, ports, 80});
  check({"two 802.1Q tags", ether(kVlan, tag(kVlan, tag(kIpv4, ip))), kV4, kTcp, ports, 80});
  check({"three tags", ether(kQinQ, tag(kVlan, tag(kVlan, tag(kIpv4, ip)))), nullptr});
  check({"ARP", ether(kArp, Bytes(28)), nullptr});
  check({"ARP behind a tag", ether(kVlan, tag(kArp, Bytes(28))), nullptr});
  check({"802.3 length instead of a type", ether(46, ip), nullptr});
  check({"all zero", Bytes(64, 0), nullptr});
  check({"all ones", Bytes(64, 0xff), nullptr});
  check({"padding behind a short packet", v4(kTcp, transport(80)) + Bytes(20), kV4, kTcp, ports, 80});
}

// Below `dst_end` bytes the frame is nobody's, from `complete` bytes on the verdict is that of the whole frame, and
// in between the destination is known and nothing else is claimed.
TEST_CASE("classify: truncated at every byte") {
  struct Truncated {
    const char* description;
    Bytes frame;
    size_t dst_end, complete;
  };
  const Truncated cases[] = {
      {"IPv4", v4(kTcp, transport(80)), 34, 38},
      {"IPv4 with options", v4(kUdp, transport(80), 10), 74, 78},
      {"IPv4 fragment", v4(kUdp, transport(80), 0, 0x2000), 34, 34},
      {"IPv4 in QinQ", ether(kQinQ, tag(kVlan, tag(kIpv4, ipv4(kV4, kTcp, transport(80))))), 42, 46},
      {"IPv6", v6(kTcp, transport(80)), 54, 58},
      {"IPv6 neighbour discovery", v6(kIcmpv6, icmp(135)), 54, 55},
      {"IPv6 with extensions",
       v6(kHopByHop, extension(kRouting, 1, extension(kAh, 0, authentication(kTcp, 4, transport(80))))), 54, 106},
      {"IPv6 fragment", v6(kFragment, fragment(kTcp, 9, transport(80))), 54, 62},
      {"IPv6 with nine headers", options_chain(9), 54, 118},
  };
  for (const Truncated& t : cases) {
    INFO(t.description);
    xdplb_packet whole;
    REQUIRE(classify(t.frame, t.frame.size(), whole));
    for (size_t len_bytes = 0; len_bytes <= t.frame.size(); len_bytes++) {
      INFO(len_bytes << " bytes");
      xdplb_packet packet;
      const bool is_readable = classify(t.frame, len_bytes, packet);
      REQUIRE(is_readable == (len_bytes >= t.dst_end));
      if (!is_readable) continue;
      CHECK(std::memcmp(&packet.dst, &whole.dst, sizeof whole.dst) == 0);
      if (len_bytes >= t.complete) {
        CHECK(are_same(packet, whole));
      } else {
        CHECK((packet.flags & (XDPLB_PACKET_PORTS | XDPLB_PACKET_ND | XDPLB_PACKET_FRAGMENT)) == 0);
        CHECK(packet.dst_port == 0);
      }
    }
  }
}
