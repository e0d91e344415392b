// parse_common: the frame that nearly all are, in one look: untagged Ethernet, IPv4 without options or IPv6 without
// extension headers, TCP or UDP, not a fragment, whole.
//
// It takes what it is sure of and judges nothing: a frame that it does not take, for whatever cause, is parse_any's
// (user/net/parse.cpp), which alone knows reasons. What it takes, it reads exactly as parse_any does; the unit tests
// and the fuzzers hold the two against each other on every frame that they come by.
//
// In a header, so that it becomes part of the loop over a batch that calls it. A PacketInfo is written as the eight
// words of its cache line: field by field it were three times as many stores.
#pragma once

#include <array>
#include <bit>

#include "user/net/checksum.h"
#include "user/net/headers.h"
#include "user/net/parse.h"

namespace xdplb {

using PacketInfoWords = std::array<uint64_t, sizeof(PacketInfo) / sizeof(uint64_t)>;

// The two words of a PacketInfo behind its key, and what of the last is equal for all packets of an IP version.
constexpr PacketInfoWords plain_info(uint8_t ip_version, uint32_t l4_offset) {
  return std::bit_cast<PacketInfoWords>(PacketInfo{.key = {},
                                                   .kind = PacketKind::transport,
                                                   .ip_version = ip_version,
                                                   .l3_offset = sizeof(EthernetHeader),
                                                   .l4_offset = static_cast<uint16_t>(l4_offset)});
}

// Of a header without options. Adding with end-around carry is adding modulo 65535, in whichever byte order, so the
// header is summed as it lies and must come to "minus zero". The sum of a header is never 0.
inline bool plain_ipv4_checksum_holds(const uint8_t* header) {
  const uint64_t sum = uint64_t{word_at<uint32_t>(header)} + word_at<uint32_t>(header + 4) +
                       word_at<uint32_t>(header + 8) + word_at<uint32_t>(header + 12) +
                       word_at<uint32_t>(header + 16);
  return is_multiple_of_65535(sum);
}

// Word by word into its place. An array of them g++ would make on the stack first, and wait when it reads it back.
inline void write_word(PacketInfo& info, size_t word, uint64_t value) {
  std::memcpy(reinterpret_cast<uint8_t*>(&info) + word * sizeof value, &value, sizeof value);
}
inline void write_info(PacketInfo& info, const PacketInfoWords& plain, uint64_t ports_and_protocol, uint32_t end,
                       int tcp_flags) {
  write_word(info, 4, ports_and_protocol);
  write_word(info, 5, plain[5]);
  write_word(info, 6, plain[6]);
  write_word(info, 7, end | static_cast<uint64_t>(tcp_flags) << 16);
}

// The transport header at `l4`, in the frame up to `end`, which may lie before it. TCP's flags, 0 for UDP; below 0
// where it is not ours to take.
inline int common_tcp_flags(const uint8_t* l4, uint32_t l4_offset, uint32_t end, uint8_t protocol) {
  if (protocol == kProtoUdp) {
    const uint32_t len = reinterpret_cast<const UdpHeader*>(l4)->len.get();
    return len < sizeof(UdpHeader) || l4_offset + len > end ? -1 : 0;
  }
  if (protocol != kProtoTcp || end < l4_offset + sizeof(TcpHeader)) return -1;
  const auto& tcp = *reinterpret_cast<const TcpHeader*>(l4);
  const uint32_t header_len = (tcp.data_offset >> 4) * 4u;
  if (header_len < sizeof(TcpHeader) || l4_offset + header_len > end) return -1;
  return tcp.flags;
}

// The ports in host order, as they and the protocol lie in a FlowKey.
inline uint64_t ports_and_protocol(const uint8_t* l4, uint8_t protocol) {
  return std::rotl(swap32(word_at<uint32_t>(l4)), 16) | uint64_t{protocol} << 32;
}

[[gnu::always_inline]] inline bool parse_common_ipv4(const uint8_t* frame, uint32_t len_bytes, PacketInfo& info) {
  constexpr uint32_t kL3 = sizeof(EthernetHeader), kL4 = kL3 + sizeof(Ipv4Header);
  constexpr uint8_t kVersionAndWords = 4 << 4 | sizeof(Ipv4Header) / 4;
  constexpr PacketInfoWords kPlain = plain_info(4, kL4);
  const auto& ip = *reinterpret_cast<const Ipv4Header*>(frame + kL3);
  const uint32_t end = kL3 + ip.total_len.get();
  if (ip.version_ihl != kVersionAndWords || end > len_bytes || ip.ttl == 0) return false;
  if (ip.fragment.has_any(kIpv4MoreFragments | kIpv4OffsetMask)) return false;
  if (!plain_ipv4_checksum_holds(frame + kL3)) return false;
  const int tcp_flags = common_tcp_flags(frame + kL4, kL4, end, ip.protocol);
  if (tcp_flags < 0) return false;
  info.key.src = IpAddr::v4(ip.src);
  info.key.dst = IpAddr::v4(ip.dst);
  write_info(info, kPlain, ports_and_protocol(frame + kL4, ip.protocol), end, tcp_flags);
  return true;
}

[[gnu::always_inline]] inline bool parse_common_ipv6(const uint8_t* frame, uint32_t len_bytes, PacketInfo& info) {
  constexpr uint32_t kL3 = sizeof(EthernetHeader), kL4 = kL3 + sizeof(Ipv6Header);
  constexpr PacketInfoWords kPlain = plain_info(6, kL4);
  const auto& ip = *reinterpret_cast<const Ipv6Header*>(frame + kL3);
  const uint32_t end = kL4 + ip.payload_len.get();
  if (ip.version_class_label.get() >> 28 != 6 || end > len_bytes || ip.hop_limit == 0) return false;
  const int tcp_flags = common_tcp_flags(frame + kL4, kL4, end, ip.next_header);
  const IpAddr src = IpAddr::v6(ip.src), dst = IpAddr::v6(ip.dst);
  if (tcp_flags < 0 || src.is_v4() || dst.is_v4()) return false;
  info.key.src = src;
  info.key.dst = dst;
  write_info(info, kPlain, ports_and_protocol(frame + kL4, ip.next_header), end, tcp_flags);
  return true;
}

// True where it took the frame and wrote `info`; otherwise `info` is as before.
[[gnu::always_inline]] inline bool parse_common(std::span<const uint8_t> frame, PacketInfo& info) {
  constexpr uint32_t kShortest4 = sizeof(EthernetHeader) + sizeof(Ipv4Header) + sizeof(UdpHeader);
  constexpr uint32_t kShortest6 = sizeof(EthernetHeader) + sizeof(Ipv6Header) + sizeof(UdpHeader);
  if (frame.size() < kShortest4 || frame.size() > kMaxFrameLenBytes) return false;
  const auto len_bytes = static_cast<uint32_t>(frame.size());
  const uint16_t type = header_at<EthernetHeader>(frame, 0).type.get();
  if (type == kEtherIpv4) return parse_common_ipv4(frame.data(), len_bytes, info);
  if (type == kEtherIpv6 && len_bytes >= kShortest6) return parse_common_ipv6(frame.data(), len_bytes, info);
  return false;
}

}  // namespace xdplb
