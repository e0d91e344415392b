#include "user/net/parse_icmp.h"

#include "user/net/headers.h"
#include "user/net/ipv6_chain.h"

namespace xdplb {
namespace {

using Bytes = std::span<const uint8_t>;

// What every error quotes of the transport header (RFC 792), ports included.
constexpr uint32_t kQuotedL4Bytes = 8;

PacketKind kind_of_icmp4(uint8_t type) {
  switch (type) {
    case kIcmpEchoReply:
    case kIcmpEchoRequest: return PacketKind::icmp_echo;
    case kIcmpUnreachable:
    case kIcmpTimeExceeded:
    case kIcmpParameterProblem: return PacketKind::icmp_error;
    // Source quench (4) and redirect (5) quote a packet too, but no host acts on the former (RFC 6633) and the
    // latter is for the neighbours of a router.
    default: return PacketKind::other;
  }
}

PacketKind kind_of_icmp6(uint8_t type) {
  switch (type) {
    case kIcmp6Unreachable:
    case kIcmp6PacketTooBig:
    case kIcmp6TimeExceeded:
    case kIcmp6ParameterProblem: return PacketKind::icmp_error;
    case kIcmp6EchoRequest:
    case kIcmp6EchoReply: return PacketKind::icmp_echo;
    default: return PacketKind::other;
  }
}

// The quoted packet went from the VIP to the client. Its flow, as our flow table knows it, is that from the client to
// the VIP. The outer source does not matter: it is some router on the way.
Reason reverse_addresses(const IpAddr& quoted_src, const IpAddr& quoted_dst, PacketInfo& info) {
  if (quoted_src != info.key.dst) return Reason::icmp_unrelated;
  info.key.src = quoted_dst;
  return Reason::none;
}

// Lengths and checksum of the quoted transport header are not looked at: most of it is cut off.
Reason reverse_ports(Bytes packet, uint32_t offset, uint8_t protocol, PacketInfo& info) {
  info.key.protocol = protocol;
  if (protocol != kProtoTcp && protocol != kProtoUdp && protocol != kProtoSctp) return Reason::none;
  if (!has_room(packet, offset, kQuotedL4Bytes)) return Reason::l4_header;
  const auto& ports = header_at<PortsHeader>(packet, offset);
  info.key.src_port = ports.dst_port.get();
  info.key.dst_port = ports.src_port.get();
  return Reason::none;
}

Reason later_fragment_inside(uint8_t protocol, PacketInfo& info) {
  info.key.protocol = protocol;
  info.inner_is_fragment = true;
  return Reason::none;
}

// The quoted header's TTL, checksum and length may have been changed on the way, and are not judged.
Reason parse_quoted_ipv4(Bytes packet, uint32_t offset, PacketInfo& info) {
  if (!has_room(packet, offset, sizeof(Ipv4Header))) return Reason::l4_header;
  const auto& ip = header_at<Ipv4Header>(packet, offset);
  const uint32_t header_len = (ip.version_ihl & 0x0fu) * 4;
  if (ip.version_ihl >> 4 != 4 || header_len < sizeof(Ipv4Header)) return Reason::l4_header;
  if (const Reason r = reverse_addresses(IpAddr::v4(ip.src), IpAddr::v4(ip.dst), info); r != Reason::none) return r;
  if ((ip.fragment.get() & kIpv4OffsetMask) != 0) return later_fragment_inside(ip.protocol, info);
  return reverse_ports(packet, offset + header_len, ip.protocol, info);
}

Reason parse_quoted_ipv6(Bytes packet, uint32_t offset, PacketInfo& info) {
  if (!has_room(packet, offset, sizeof(Ipv6Header))) return Reason::l4_header;
  const auto& ip = header_at<Ipv6Header>(packet, offset);
  if (ip.version_class_label.get() >> 28 != 6) return Reason::l4_header;
  if (const Reason r = reverse_addresses(IpAddr::v6(ip.src), IpAddr::v6(ip.dst), info); r != Reason::none) return r;
  Ipv6Chain chain;
  const uint32_t first = offset + uint32_t{sizeof(Ipv6Header)};
  if (const Reason r = walk_ipv6_chain(packet, first, ip.next_header, chain); r != Reason::none) return r;
  if (chain.fragment_offset != 0) return later_fragment_inside(chain.protocol, info);
  return reverse_ports(packet, chain.offset, chain.protocol, info);
}

}  // namespace

Reason parse_icmp4(Bytes packet, PacketInfo& info) {
  if (!has_room(packet, info.l4_offset, sizeof(IcmpHeader))) return Reason::l4_header;
  info.kind = kind_of_icmp4(header_at<IcmpHeader>(packet, info.l4_offset).type);
  if (info.kind != PacketKind::icmp_error) return Reason::none;
  return parse_quoted_ipv4(packet, info.l4_offset + uint32_t{sizeof(IcmpHeader)}, info);
}

Reason parse_icmp6(Bytes packet, PacketInfo& info) {
  if (!has_room(packet, info.l4_offset, sizeof(IcmpHeader))) return Reason::l4_header;
  info.kind = kind_of_icmp6(header_at<IcmpHeader>(packet, info.l4_offset).type);
  if (info.kind != PacketKind::icmp_error) return Reason::none;
  return parse_quoted_ipv6(packet, info.l4_offset + uint32_t{sizeof(IcmpHeader)}, info);
}

}  // namespace xdplb
