#include "user/net/parse.h"

#include "user/net/headers.h"
#include "user/net/ipv6_chain.h"
#include "user/net/parse_common.h"
#include "user/net/parse_icmp.h"

namespace xdplb {
namespace {

using Bytes = std::span<const uint8_t>;

constexpr uint32_t kMaxVlanTags = 2;
constexpr uint32_t kMaxIpBytes = 65535;

// Copied in whole: g++ assembles a PacketInfo{} on the stack in pieces, and reading those back stalls the pipeline.
constexpr PacketInfo kNothingKnown{};

bool is_vlan(uint16_t ether_type) {
  return ether_type == kEtherVlan || ether_type == kEtherServiceVlan;
}

// Adding with end-around carry is adding modulo 65535, in whichever byte order, so the header is summed as it lies
// and must come to "minus zero". The sum of a header is never 0.
bool ipv4_checksum_holds(const uint8_t* header, uint32_t header_len) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < header_len; i += 4) sum += word_at<uint32_t>(header + i);
  return is_multiple_of_65535(sum);
}

Reason parse_tcp(Bytes packet, bool whole, PacketInfo& info) {
  const uint32_t offset = info.l4_offset;
  if (!has_room(packet, offset, sizeof(TcpHeader))) {
    // The first fragment may be as short as eight bytes: ports, but no flags.
    if (whole || !has_room(packet, offset, sizeof(PortsHeader))) return Reason::l4_header;
  } else {
    const auto& tcp = header_at<TcpHeader>(packet, offset);
    const uint32_t header_len = (tcp.data_offset >> 4) * 4u;
    if (header_len < sizeof(TcpHeader) || (whole && !has_room(packet, offset, header_len))) return Reason::l4_header;
    info.tcp_flags = tcp.flags;
  }
  return Reason::none;
}

Reason parse_udp(Bytes packet, bool whole, PacketInfo& info) {
  if (!has_room(packet, info.l4_offset, sizeof(UdpHeader))) return Reason::l4_header;
  const uint32_t len = header_at<UdpHeader>(packet, info.l4_offset).len.get();
  // Over IPv6 a length of zero means "all there is" (RFC 2675).
  if (len == 0 && info.ip_version == 6) return Reason::none;
  if (len < sizeof(UdpHeader) || (whole && !has_room(packet, info.l4_offset, len))) return Reason::l4_header;
  return Reason::none;
}

Reason parse_sctp(Bytes packet, bool whole, const PacketInfo& info) {
  const uint32_t needed = whole ? sizeof(SctpHeader) : sizeof(PortsHeader);
  return has_room(packet, info.l4_offset, needed) ? Reason::none : Reason::l4_header;
}

// The transport header of a whole packet or a first fragment. A fragment of an ICMP message is steered by addresses
// whatever it is: errors are too short to be fragmented by anybody who means well.
Reason parse_l4(Bytes packet, uint8_t protocol, PacketInfo& info) {
  const bool whole = info.kind != PacketKind::first_fragment;
  info.key.protocol = protocol;
  Reason reason = Reason::none;
  switch (protocol) {
    case kProtoTcp: reason = parse_tcp(packet, whole, info); break;
    case kProtoUdp: reason = parse_udp(packet, whole, info); break;
    case kProtoSctp: reason = parse_sctp(packet, whole, info); break;
    case kProtoIcmp: return whole && info.ip_version == 4 ? parse_icmp4(packet, info) : Reason::none;
    case kProtoIcmp6: return whole && info.ip_version == 6 ? parse_icmp6(packet, info) : Reason::none;
    default: return Reason::none;
  }
  if (reason != Reason::none) return reason;
  const auto& ports = header_at<PortsHeader>(packet, info.l4_offset);
  info.key.src_port = ports.src_port.get();
  info.key.dst_port = ports.dst_port.get();
  if (whole) info.kind = PacketKind::transport;
  return Reason::none;
}

// Called with fragment_offset and more_fragments set. Out of line, as parse_ipv6_extensions: what is rare shall not
// take registers from the common path.
[[gnu::noinline]] Reason note_fragment(uint32_t id, uint32_t len_bytes, PacketInfo& info) {
  const bool uneven = info.more_fragments && len_bytes % 8 != 0;
  if (len_bytes == 0 || uneven || info.fragment_offset + len_bytes > kMaxIpBytes) return Reason::fragment_malformed;
  info.fragment_id = id;
  info.fragment_len = static_cast<uint16_t>(len_bytes);
  info.kind = info.fragment_offset == 0 ? PacketKind::first_fragment : PacketKind::later_fragment;
  return Reason::none;
}

Reason parse_ipv4(Bytes frame, uint32_t l3, PacketInfo& info) {
  if (!has_room(frame, l3, sizeof(Ipv4Header))) return Reason::ip_header;
  const auto& ip = header_at<Ipv4Header>(frame, l3);
  const uint32_t header_len = (ip.version_ihl & 0x0fu) * 4;
  if (ip.version_ihl >> 4 != 4 || header_len < sizeof(Ipv4Header) || !has_room(frame, l3, header_len))
    return Reason::ip_header;
  const uint32_t total_len = ip.total_len.get();
  if (total_len < header_len || !has_room(frame, l3, total_len)) return Reason::ip_length;
  if (!ipv4_checksum_holds(frame.data() + l3, header_len)) return Reason::ip_checksum;
  if (ip.ttl == 0) return Reason::ip_ttl;

  info.key.src = IpAddr::v4(ip.src);
  info.key.dst = IpAddr::v4(ip.dst);
  info.ip_version = 4;
  info.packet_len = static_cast<uint16_t>(l3 + total_len);
  info.l4_offset = static_cast<uint16_t>(l3 + header_len);
  const Bytes packet = frame.first(l3 + total_len);
  const uint16_t fragment = ip.fragment.get();
  if ((fragment & (kIpv4MoreFragments | kIpv4OffsetMask)) != 0) {
    info.fragment_offset = static_cast<uint16_t>((fragment & kIpv4OffsetMask) * 8);
    info.more_fragments = (fragment & kIpv4MoreFragments) != 0;
    if (const Reason r = note_fragment(ip.id.get(), total_len - header_len, info); r != Reason::none) return r;
    if (info.kind == PacketKind::later_fragment) {
      info.key.protocol = ip.protocol;
      return Reason::none;
    }
  }
  return parse_l4(packet, ip.protocol, info);
}

// From info.l4_offset on, where the first extension header lies.
[[gnu::noinline]] Reason parse_ipv6_extensions(Bytes packet, uint8_t next_header, PacketInfo& info) {
  Ipv6Chain chain;
  if (const Reason r = walk_ipv6_chain(packet, info.l4_offset, next_header, chain); r != Reason::none) return r;
  info.l4_offset = static_cast<uint16_t>(chain.offset);
  if (chain.is_fragment()) {
    info.fragment_offset = chain.fragment_offset;
    info.more_fragments = chain.more_fragments;
    const auto len_bytes = static_cast<uint32_t>(packet.size()) - chain.fragment_payload;
    if (const Reason r = note_fragment(chain.fragment_id, len_bytes, info); r != Reason::none) return r;
    if (info.kind == PacketKind::later_fragment) {
      info.key.protocol = chain.protocol;
      return Reason::none;
    }
  }
  return parse_l4(packet, chain.protocol, info);
}

Reason parse_ipv6(Bytes frame, uint32_t l3, PacketInfo& info) {
  if (!has_room(frame, l3, sizeof(Ipv6Header))) return Reason::ip_header;
  const auto& ip = header_at<Ipv6Header>(frame, l3);
  if (ip.version_class_label.get() >> 28 != 6) return Reason::ip_header;
  const uint32_t l3_len = uint32_t{sizeof(Ipv6Header)} + ip.payload_len.get();
  if (!has_room(frame, l3, l3_len)) return Reason::ip_length;
  if (ip.hop_limit == 0) return Reason::ip_ttl;

  info.key.src = IpAddr::v6(ip.src);
  info.key.dst = IpAddr::v6(ip.dst);
  // IPv4-mapped addresses are a notation of ours and of sockets, never seen on a wire: they would pass for IPv4.
  if (info.key.src.is_v4() || info.key.dst.is_v4()) return Reason::ip_header;
  info.ip_version = 6;
  info.packet_len = static_cast<uint16_t>(l3 + l3_len);
  const Bytes packet = frame.first(l3 + l3_len);
  info.l4_offset = static_cast<uint16_t>(l3 + sizeof(Ipv6Header));
  if (!is_ipv6_extension(ip.next_header)) return parse_l4(packet, ip.next_header, info);
  return parse_ipv6_extensions(packet, ip.next_header, info);
}

}  // namespace

Reason parse_packet(std::span<const uint8_t> frame, PacketInfo& info) {
  return parse_common(frame, info) ? Reason::none : parse_any(frame, info);
}

Reason parse_any(std::span<const uint8_t> frame, PacketInfo& info) {
  info = kNothingKnown;
  if (frame.size() > kMaxFrameLenBytes) return Reason::too_big;  // offsets are 16 bits
  uint32_t offset = sizeof(EthernetHeader);
  if (frame.size() < offset) return Reason::frame_short;
  uint16_t type = header_at<EthernetHeader>(frame, 0).type.get();
  for (uint32_t tags = 0; is_vlan(type); ++tags) {
    if (tags == kMaxVlanTags) return Reason::not_ip;
    if (!has_room(frame, offset, sizeof(VlanTag))) return Reason::frame_short;
    type = header_at<VlanTag>(frame, offset).type.get();
    offset += uint32_t{sizeof(VlanTag)};
  }
  info.l3_offset = static_cast<uint16_t>(offset);
  if (type == kEtherIpv4) return parse_ipv4(frame, offset, info);
  if (type == kEtherIpv6) return parse_ipv6(frame, offset, info);
  return Reason::not_ip;
}

}  // namespace xdplb
