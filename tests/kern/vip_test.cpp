// Which packets xdp_vip takes for a VIP's: maps, prefixes, port sets, malformed frames.
#include <catch2/catch.hpp>
#include <cstdio>
#include <memory>

#include "tests/kern/vip_rig.h"

using namespace xdplb;
using namespace xdplb::frames;

namespace {

constexpr auto kV4 = "10.0.0.0";
constexpr auto kV6 = "1000::";

Bytes tcp4(const std::string& dst, uint16_t port = 80) {
  return ether(kIpv4, ipv4(dst, kTcp, transport(port)));
}

Bytes tcp6(const std::string& dst, uint16_t port = 80) {
  return ether(kIpv6, ipv6(dst, kTcp, transport(port)));
}

// The two VIPs of the contract, and queue 0 armed with a socket.
void arm_with_vips(VipRig& rig) {
  rig.add_vip(kV4, XDPLB_FALLBACK_DROP);
  rig.add_vip(kV6, XDPLB_FALLBACK_DROP);
  rig.arm(0, test_devices().first, 0);
}

void set_bit(__u64* words, uint32_t bit) {
  words[bit / 64] |= 1ull << (bit % 64);
}

}  // namespace

TEST_CASE("vip: what is for a VIP goes to the socket, the rest passes") {
  VipRig rig(GENERATE(vip_object(), vip_live_object()));
  arm_with_vips(rig);
  CHECK(rig.run(tcp4(kV4)) == kRedirect);
  CHECK(rig.run(tcp6(kV6)) == kRedirect);
  CHECK(rig.run(ether(kVlan, tag(kIpv4, ipv4(kV4, kUdp, transport(53))))) == kRedirect);
  CHECK(rig.run(ether(kQinQ, tag(kVlan, tag(kIpv6, ipv6(kV6, kUdp, transport(53)))))) == kRedirect);
  CHECK(rig.run(ether(kIpv4, ipv4(kV4, kIcmp, icmp(8)))) == kRedirect);
  CHECK(rig.run(ether(kIpv4, ipv4(kV4, kTcp, transport(80), 10))) == kRedirect);
  CHECK(rig.run(tcp4("10.0.0.1")) == kPass);
  CHECK(rig.run(tcp6("1000::1")) == kPass);
  CHECK(rig.run(tcp6("::ffff:10.0.0.0")) == kPass);
  CHECK(rig.run(ether(kArp, Bytes(28))) == kPass);
  CHECK(rig.slot(0).redirected == 6);
}

TEST_CASE("vip: a test run without a device that is no call of ours is a packet from a device without sockets") {
  VipRig rig(GENERATE(vip_object(), vip_live_object()));
  arm_with_vips(rig);
  Bytes as_long_as_a_call = tcp4(kV4);
  as_long_as_a_call.resize(XDPLB_LIVE_RUN_BYTES);
  CHECK(rig.run(as_long_as_a_call) == kRedirect);
  CHECK(rig.run_from_nowhere(as_long_as_a_call) == kDrop);
  CHECK(rig.count(XDPLB_COUNT_UNARMED) == 1);
  CHECK(rig.run_from_nowhere(ether(kArp, Bytes(28))) == kPass);
}

TEST_CASE("vip: neighbour discovery passes, even to a VIP") {
  VipRig rig;
  arm_with_vips(rig);
  for (int type = 0; type < 256; type++) {
    INFO("ICMPv6 type " << type);
    const bool is_nd = type >= 133 && type <= 137;
    const Bytes frame = ether(kIpv6, ipv6(kV6, kIcmpv6, icmp(static_cast<uint8_t>(type))));
    CHECK(rig.run(frame) == (is_nd ? kPass : kRedirect));
  }
}

// A frame whose destination is cut off passes; from there on it is the VIP's.
TEST_CASE("vip: truncated at every byte") {
  struct Truncated {
    Bytes frame;
    size_t dst_end;
  };
  const Truncated cases[] = {
      {tcp4(kV4), 34},
      {ether(kIpv4, ipv4(kV4, kTcp, transport(80), 10)), 74},
      {ether(kQinQ, tag(kVlan, tag(kIpv4, ipv4(kV4, kTcp, transport(80))))), 42},
      {tcp6(kV6), 54},
      {ether(kIpv6, ipv6(kV6, kHopByHop, extension(kRouting, 1, extension(kUdp, 2, transport(80))))), 54},
      {ether(kIpv6, ipv6(kV6, kFragment, fragment(kTcp, 9, transport(80)))), 54},
      {ether(kVlan, tag(kIpv6, ipv6(kV6, kAh, authentication(kTcp, 4, transport(80))))), 58},
  };
  VipRig rig;
  arm_with_vips(rig);
  for (const Truncated& t : cases) {
    for (size_t len_bytes = 14; len_bytes <= t.frame.size(); len_bytes++) {
      INFO(len_bytes << " of " << t.frame.size() << " bytes");
      const Bytes head(t.frame.begin(), t.frame.begin() + static_cast<ptrdiff_t>(len_bytes));
      CHECK(rig.run(head) == (len_bytes >= t.dst_end ? kRedirect : kPass));
    }
  }
}

TEST_CASE("vip: malformed headers pass") {
  VipRig rig;
  arm_with_vips(rig);
  Bytes frame = tcp4(kV4);
  for (int first = 0; first < 256; first++) {
    INFO("first byte of IPv4: " << first);
    frame[14] = static_cast<uint8_t>(first);
    const int header_words = first & 15;
    const bool fits = header_words >= 5 && header_words <= 10;  // the frame has 40 bytes behind Ethernet
    CHECK(rig.run(frame) == (first >> 4 == 4 && fits ? kRedirect : kPass));
  }
  Bytes frame6 = tcp6(kV6);
  for (int first = 0; first < 256; first++) {
    INFO("first byte of IPv6: " << first);
    frame6[14] = static_cast<uint8_t>(first);
    CHECK(rig.run(frame6) == (first >> 4 == 6 ? kRedirect : kPass));
  }
}

TEST_CASE("vip: prefixes, the longest first, and an exact address before all") {
  VipRig rig;  // nothing armed: the fallback tells which entry was found
  rig.add_prefix("20.0.0.0", 96 + 8, XDPLB_FALLBACK_DROP);
  rig.add_prefix("20.1.0.0", 96 + 16, XDPLB_FALLBACK_PASS);
  rig.add_prefix("20.1.1.0", 96 + 24, XDPLB_FALLBACK_DROP);
  rig.add_prefix("2000::", 64, XDPLB_FALLBACK_DROP);
  rig.add_vip("20.1.1.7", XDPLB_FALLBACK_PASS);

  SECTION("are not asked for unless setup says so") {
    CHECK(rig.run(tcp4("20.9.9.9")) == kPass);
    CHECK(rig.count(XDPLB_COUNT_UNARMED) == 0);
  }
  SECTION("decide") {
    rig.set_setup(true, false);
    uint64_t vip_packets = 0;
    const auto verdict = [&](const Bytes& frame) {
      const Verdict v = rig.run(frame);
      CHECK(rig.count(XDPLB_COUNT_UNARMED) == ++vip_packets);
      return v;
    };
    CHECK(verdict(tcp4("20.0.0.0")) == kDrop);
    CHECK(verdict(tcp4("20.255.255.255")) == kDrop);
    CHECK(verdict(tcp4("20.1.0.1")) == kPass);
    CHECK(verdict(tcp4("20.1.1.1")) == kDrop);
    CHECK(verdict(tcp4("20.1.1.7")) == kPass);
    CHECK(verdict(tcp6("2000::1:2:3")) == kDrop);
    CHECK(rig.run(tcp4("21.0.0.0")) == kPass);
    CHECK(rig.run(tcp6("2000:0:0:1::")) == kPass);
    CHECK(rig.count(XDPLB_COUNT_UNARMED) == vip_packets);
  }
}

TEST_CASE("vip: port sets") {
  const auto set = std::make_unique<xdplb_portset>();
  set_bit(set->tcp_ports, 80);
  set_bit(set->tcp_ports, 65535);
  set_bit(set->udp_ports, 53);
  set_bit(set->sctp_ports, 0);
  set_bit(set->protocols, kEsp);
  const auto any_udp = std::make_unique<xdplb_portset>();
  set_bit(any_udp->protocols, kUdp);

  VipRig rig;
  rig.add_portset(1, *set);
  rig.add_portset(2, *any_udp);
  rig.add_vip(kV4, XDPLB_FALLBACK_DROP, 1);
  rig.add_vip(kV6, XDPLB_FALLBACK_DROP, 1);
  rig.add_prefix("30.0.0.0", 96 + 8, XDPLB_FALLBACK_DROP, 2);
  rig.add_vip("10.0.0.9", XDPLB_FALLBACK_DROP, 99);  // names a set that is not there
  rig.add_vip("10.0.0.10", XDPLB_FALLBACK_DROP);
  rig.arm(0, test_devices().first, 0);
  rig.set_setup(true, true);

  const auto v4 = [](const char* dst, uint8_t protocol, uint16_t port, uint16_t fragment_field = 0) {
    return ether(kIpv4, ipv4(dst, protocol, transport(port), 0, fragment_field));
  };
  SECTION("the port decides") {
    CHECK(rig.run(v4(kV4, kTcp, 80)) == kRedirect);
    CHECK(rig.run(v4(kV4, kTcp, 65535)) == kRedirect);
    CHECK(rig.run(v4(kV4, kUdp, 53)) == kRedirect);
    CHECK(rig.run(v4(kV4, kSctp, 0)) == kRedirect);
    CHECK(rig.run(tcp6(kV6, 80)) == kRedirect);
    CHECK(rig.count(XDPLB_COUNT_OTHER_PORT) == 0);
    CHECK(rig.run(v4(kV4, kTcp, 22)) == kPass);
    CHECK(rig.run(v4(kV4, kTcp, 53)) == kPass);
    CHECK(rig.run(v4(kV4, kUdp, 80)) == kPass);
    CHECK(rig.run(v4(kV4, kSctp, 80)) == kPass);
    CHECK(rig.run(tcp6(kV6, 22)) == kPass);
    CHECK(rig.count(XDPLB_COUNT_OTHER_PORT) == 5);
  }
  SECTION("so does the protocol, where there are no ports") {
    CHECK(rig.run(v4(kV4, kEsp, 80)) == kRedirect);
    CHECK(rig.run(v4(kV4, kAh, 80)) == kPass);
    CHECK(rig.run(v4("30.1.2.3", kUdp, 1)) == kRedirect);
    CHECK(rig.run(v4("30.1.2.3", kTcp, 1)) == kPass);
  }
  SECTION("fragments and ICMP come up whatever the ports") {
    CHECK(rig.run(v4(kV4, kTcp, 22, 0x2000)) == kRedirect);
    CHECK(rig.run(v4(kV4, kTcp, 22, 0x0010)) == kRedirect);
    CHECK(rig.run(ether(kIpv6, ipv6(kV6, kFragment, fragment(kTcp, 1, transport(22))))) == kRedirect);
    CHECK(rig.run(ether(kIpv6, ipv6(kV6, kFragment, fragment(kTcp, 0, transport(22))))) == kPass);
    CHECK(rig.run(ether(kIpv4, ipv4(kV4, kIcmp, icmp(3)))) == kRedirect);
    CHECK(rig.run(ether(kIpv6, ipv6(kV6, kIcmpv6, icmp(2)))) == kRedirect);
    CHECK(rig.run(ether(kIpv6, ipv6(kV6, kIcmpv6, icmp(135)))) == kPass);
  }
  SECTION("what has no readable port is not listened to") {
    const Bytes whole = tcp4(kV4, 80);
    for (size_t len_bytes = 34; len_bytes <= whole.size(); len_bytes++) {
      INFO(len_bytes << " bytes");
      const Bytes head(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(len_bytes));
      CHECK(rig.run(head) == (len_bytes >= 38 ? kRedirect : kPass));
    }
    CHECK(rig.run(ether(kIpv6, ipv6(kV6, kDestination, Bytes{kTcp, 9}))) == kPass);
  }
  SECTION("a VIP without one, or with one that is missing, takes everything") {
    CHECK(rig.run(v4("10.0.0.9", kTcp, 22)) == kRedirect);
    CHECK(rig.run(v4("10.0.0.10", kTcp, 22)) == kRedirect);
  }
  SECTION("are not asked for unless setup says so") {
    rig.set_setup(true, false);
    CHECK(rig.run(v4(kV4, kTcp, 22)) == kRedirect);
    CHECK(rig.run(v4("30.1.2.3", kTcp, 1)) == kRedirect);
  }
}

TEST_CASE("vip: 4096 of each family") {
  VipRig rig;
  rig.arm(0, test_devices().first, 0);
  const auto v4 = [](int i) { return "10." + std::to_string(i >> 8) + "." + std::to_string(i & 255) + ".1"; };
  const auto v6 = [](int i) {
    char text[32];
    std::snprintf(text, sizeof text, "1000:%x::1", static_cast<unsigned>(i));
    return std::string(text);
  };
  for (int i = 0; i < 4096; i++) {
    rig.add_vip(v4(i), XDPLB_FALLBACK_DROP);
    rig.add_vip(v6(i), XDPLB_FALLBACK_PASS);
  }
  int redirected = 0;
  for (int i = 0; i < 4096; i++) {
    redirected += rig.run(tcp4(v4(i))) == kRedirect;
    redirected += rig.run(tcp6(v6(i))) == kRedirect;
  }
  CHECK(redirected == 8192);
  CHECK(rig.run(tcp4("10.16.0.1")) == kPass);
  CHECK(rig.run(tcp6("1000:1000::1")) == kPass);
}
