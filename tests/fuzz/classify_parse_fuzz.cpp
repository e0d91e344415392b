// The redirect program and the parser read the same frame: wherever the parser accepts a packet, the program must
// have seen the same destination, protocol and port, or packets would come up by one rule and be served by another.
// The parser may drop what the program lets through, since it looks closer.
#include <cstring>

#include "kern/classify.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/packet.h"
#include "user/base/check.h"
#include "user/net/parse.h"

namespace {

using xdplb::PacketInfo;
using xdplb::PacketKind;

bool has_flag(const xdplb_packet& seen, uint8_t flag) {
  return (seen.flags & flag) != 0;
}

void check_agreement(const xdplb_packet& seen, const PacketInfo& info) {
  XDPLB_CHECK(std::memcmp(seen.dst.bytes, info.key.dst.bytes.data(), sizeof seen.dst.bytes) == 0);
  XDPLB_CHECK(!has_flag(seen, XDPLB_PACKET_BROKEN));

  const bool fragment = info.kind == PacketKind::first_fragment || info.kind == PacketKind::later_fragment;
  XDPLB_CHECK(has_flag(seen, XDPLB_PACKET_FRAGMENT) == fragment);
  XDPLB_CHECK(has_flag(seen, XDPLB_PACKET_PORTS) == (info.kind == PacketKind::transport));
  if (info.kind == PacketKind::transport) XDPLB_CHECK(seen.dst_port == info.key.dst_port);

  // Of a first fragment over IPv6 the program stops at the fragment header, the parser behind all extension headers;
  // an ICMP error has the protocol of the packet inside.
  const bool same_protocol = info.kind != PacketKind::first_fragment && info.kind != PacketKind::icmp_error;
  if (same_protocol || (fragment && info.ip_version == 4)) XDPLB_CHECK(seen.protocol == info.key.protocol);
  if (info.kind == PacketKind::icmp_echo || info.kind == PacketKind::icmp_error)
    XDPLB_CHECK(has_flag(seen, XDPLB_PACKET_ICMP) && !has_flag(seen, XDPLB_PACKET_ND));
}

}  // namespace

XDPLB_FUZZ_TARGET(classify_parse) {
  const xdplb::test::ExactBytes frame(std::span(data, size));
  xdplb::test::repair_ipv4_checksum(frame.span());  // no fuzzer guesses one
  const uint8_t* const begin = frame.span().data();
  xdplb_packet seen;
  const bool readable = xdplb_classify(begin, begin + size, &seen) != 0;
  PacketInfo info;
  if (xdplb::parse_packet(frame.span(), info) != xdplb::Reason::none) return;
  XDPLB_CHECK(readable);
  check_agreement(seen, info);
}
