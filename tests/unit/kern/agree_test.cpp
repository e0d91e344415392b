// kern/classify.h and user/net/parse.h are two pieces of code for one question. Whatever parse calls well-formed,
// classify must have read alike: else a packet that came up finds no service, or one that a service wants never
// comes.
#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include "kern/classify.h"
#include "tests/support/frame_builder.h"
#include "user/net/parse.h"

using namespace xdplb;
using namespace xdplb::frames;

namespace {

bool is_fragment(PacketKind kind) {
  return kind == PacketKind::first_fragment || kind == PacketKind::later_fragment;
}

// Returns whether parse takes the frame; checks classify's answer where it does.
bool check_agreement(const Bytes& frame) {
  PacketInfo info;
  if (parse_packet(frame, info) != Reason::none) return false;
  xdplb_packet packet;
  REQUIRE(xdplb_classify(frame.data(), frame.data() + frame.size(), &packet));
  REQUIRE((packet.flags & XDPLB_PACKET_BROKEN) == 0);
  REQUIRE(((packet.flags & XDPLB_PACKET_FRAGMENT) != 0) == is_fragment(info.kind));
  // The key of an ICMP error is of the packet inside.
  if (info.kind == PacketKind::icmp_error) {
    REQUIRE((packet.flags & XDPLB_PACKET_ICMP) != 0);
    return true;
  }
  REQUIRE(std::memcmp(packet.dst.bytes, info.key.dst.bytes.data(), sizeof packet.dst.bytes) == 0);
  REQUIRE(((packet.flags & XDPLB_PACKET_PORTS) != 0) == (info.kind == PacketKind::transport));
  // Behind the header of a first fragment parse reads on, classify need not.
  if (info.kind == PacketKind::first_fragment) return true;
  REQUIRE(packet.protocol == info.key.protocol);
  REQUIRE(packet.dst_port == info.key.dst_port);
  if (info.kind == PacketKind::icmp_echo) REQUIRE((packet.flags & XDPLB_PACKET_ICMP) != 0);
  return true;
}

// A checksum that holds, so that a changed IPv4 header is judged for what else is in it.
void repair_ipv4(Bytes& frame) {
  if (frame[12] != 0x08 || frame[13] != 0x00) return;
  const size_t header_bytes = size_t{frame[14] & 15u} * 4;
  if (header_bytes < 20 || 14 + header_bytes > frame.size()) return;
  frame[24] = frame[25] = 0;
  uint32_t sum = 0;
  for (size_t i = 14; i < 14 + header_bytes; i += 2) sum += static_cast<uint32_t>(frame[i] << 8 | frame[i + 1]);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  frame[24] = static_cast<uint8_t>(~sum >> 8);
  frame[25] = static_cast<uint8_t>(~sum);
}

// A UDP header of eight bytes, whose length field is right.
Bytes udp(uint16_t dst_port) {
  return be16(40000) + be16(dst_port) + be16(8) + be16(0);
}

std::vector<Bytes> well_formed() {
  const Bytes tcp = transport(80);
  const auto v6 = [](uint8_t next, const Bytes& rest) { return ether(kIpv6, ipv6("1000::", next, rest)); };
  const auto v4 = [](uint8_t protocol, const Bytes& rest, size_t option_words = 0, uint16_t fragment_field = 0) {
    return ether(kIpv4, ipv4("10.0.0.0", protocol, rest, option_words, fragment_field));
  };
  return {
      v4(kTcp, tcp),
      v4(kUdp, udp(53), 10),
      v4(kSctp, transport(9)),
      v4(kIcmp, icmp(8)),
      v4(kEsp, tcp),
      v4(kAh, authentication(kTcp, 4, tcp)),
      v4(kTcp, tcp + Bytes(4), 0, 0x2000),
      v4(kUdp, tcp, 0, 0x0010),
      v6(kTcp, tcp),
      v6(kUdp, udp(53)),
      v6(kIcmpv6, icmp(128)),
      v6(kNoNext, {}),
      v6(kHopByHop,
         extension(kRouting, 0, extension(kAh, 1, authentication(kDestination, 2, extension(kTcp, 0, tcp))))),
      v6(135, extension(139, 0, extension(140, 0, extension(kUdp, 1, udp(7))))),
      v6(kFragment, fragment(kTcp, 0, tcp)),
      v6(kFragment, fragment(kTcp, 1, tcp + Bytes(4))),
      v6(kFragment, fragment(kUdp, 0x10, tcp)),
      v6(kDestination, extension(kFragment, 0, fragment(kDestination, 0, extension(kTcp, 0, tcp)))),
      ether(kVlan, tag(kIpv4, ipv4("10.0.0.0", kTcp, tcp))),
      ether(kQinQ, tag(kVlan, tag(kIpv6, ipv6("1000::", kTcp, tcp)))),
  };
}

}  // namespace

TEST_CASE("classify and parse agree on well-formed packets") {
  for (const Bytes& frame : well_formed()) CHECK(check_agreement(frame));
}

TEST_CASE("classify and parse agree on what chance makes of them") {
  std::mt19937 random(20);
  const std::vector<Bytes> seeds = well_formed();
  size_t taken = 0;
  for (int round = 0; round < 100'000; round++) {
    Bytes frame = seeds[random() % seeds.size()];
    for (auto changes = 1 + random() % 3; changes > 0; changes--) {
      const size_t at = 12 + random() % (frame.size() - 12);
      // Half of the changes are protocol numbers and small lengths, which lead further than noise.
      static constexpr uint8_t kTelling[] = {0,  1,  2,  4,   6,   17,  43,  44,   50,  51,
                                             58, 59, 60, 132, 135, 139, 140, 0x45, 0x60};
      frame[at] = random() % 2 ? kTelling[random() % sizeof kTelling] : static_cast<uint8_t>(random());
    }
    repair_ipv4(frame);
    taken += check_agreement(frame);
  }
  CHECK(taken > 10'000);  // else the test has lost its teeth
}
