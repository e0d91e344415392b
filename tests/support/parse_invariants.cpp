#include "tests/support/parse_invariants.h"

#include <tuple>

#include "user/net/parse_common.h"

namespace xdplb::test {
namespace {

bool has_ports(uint8_t protocol) {
  return protocol == 6 || protocol == 17 || protocol == 132;
}

auto fields_of(const PacketInfo& i) {
  return std::tie(i.fragment_id, i.fragment_offset, i.fragment_len, i.l3_offset, i.l4_offset, i.packet_len, i.kind,
                  i.tcp_flags, i.more_fragments, i.inner_is_fragment, i.ip_version);
}

const char* broken_offsets(std::span<const uint8_t> frame, const PacketInfo& info) {
  const int header = info.ip_version == 4 ? 20 : 40;
  if (info.ip_version != 4 && info.ip_version != 6) return "the IP version is 4 or 6";
  if (info.l3_offset != 14 && info.l3_offset != 18 && info.l3_offset != 22) return "at most two VLAN tags";
  if (info.l4_offset < info.l3_offset + header) return "the transport header lies behind the IP header";
  if (info.l4_offset > info.packet_len) return "the transport header lies in the packet";
  if (info.packet_len > frame.size()) return "the packet lies in the frame";
  return nullptr;
}

const char* broken_fragment(const PacketInfo& info) {
  const bool first = info.kind == PacketKind::first_fragment;
  const bool later = info.kind == PacketKind::later_fragment;
  if (first != (info.fragment_offset == 0 && info.more_fragments)) return "a first fragment has offset 0 and more";
  if (later != (info.fragment_offset != 0)) return "a later fragment has an offset";
  if ((first || later) != (info.fragment_len != 0)) return "fragments, and only they, have a length";
  if (info.fragment_offset + info.fragment_len > 65535) return "a fragment ends within 65535 bytes";
  if (info.fragment_offset % 8 != 0) return "offsets are multiples of eight";
  if (info.more_fragments && info.fragment_len % 8 != 0) return "only the last fragment has an odd length";
  if (!first && !later && info.fragment_id != 0) return "only fragments have an id";
  return nullptr;
}

const char* broken_key(std::span<const uint8_t> frame, const PacketInfo& info) {
  const FlowKey& key = info.key;
  const bool ports = key.src_port != 0 || key.dst_port != 0;
  if (key.reserved[0] != 0 || key.reserved[1] != 0 || key.reserved[2] != 0) return "the key's padding is zero";
  if (key.dst.is_v4() != (info.ip_version == 4)) return "an IPv4 destination is of an IPv4 packet";
  const size_t dst = info.l3_offset + (info.ip_version == 4 ? 16u : 24u);
  const IpAddr wire = info.ip_version == 4 ? IpAddr::v4(frame.data() + dst) : IpAddr::v6(frame.data() + dst);
  if (key.dst != wire) return "the key's destination is the packet's";
  if (ports && !has_ports(key.protocol)) return "ports belong to TCP, UDP and SCTP";
  if (ports && (info.kind == PacketKind::later_fragment || info.inner_is_fragment))
    return "a later fragment has no ports";
  if (info.kind == PacketKind::transport && !has_ports(key.protocol)) return "a transport has ports";
  if (info.kind == PacketKind::other && has_ports(key.protocol)) return "what has ports is a transport";
  if (info.kind == PacketKind::icmp_echo && key.protocol != (info.ip_version == 4 ? 1 : 58)) return "echo is ICMP";
  if (info.inner_is_fragment && info.kind != PacketKind::icmp_error) return "only an error quotes a packet";
  if (info.tcp_flags != 0 && key.protocol != 6) return "only TCP has flags";
  return nullptr;
}

}  // namespace

namespace {

// What the short way takes, the long one reads alike.
bool ways_differ(std::span<const uint8_t> frame) {
  PacketInfo common, any;
  if (!parse_common(frame, common)) return false;
  return parse_any(frame, any) != Reason::none || !same_info(common, any);
}

}  // namespace

bool same_info(const PacketInfo& a, const PacketInfo& b) {
  return a.key == b.key && fields_of(a) == fields_of(b);
}

const char* broken_invariant(std::span<const uint8_t> frame, Reason reason, const PacketInfo& info) {
  if (ways_differ(frame)) return "what parse_common takes, parse_any reads alike";
  if (reason != Reason::none) return nullptr;
  if (const char* broken = broken_offsets(frame, info)) return broken;
  if (const char* broken = broken_fragment(info)) return broken;
  if (const char* broken = broken_key(frame, info)) return broken;

  PacketInfo again;
  if (parse_packet(frame.first(info.packet_len), again) != Reason::none || !same_info(info, again))
    return "padding behind the packet does not matter";
  if (parse_packet(frame.first(info.packet_len - 1u), again) == Reason::none)
    return "a packet that lacks its last byte is refused";
  return nullptr;
}

}  // namespace xdplb::test
