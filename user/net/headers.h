// The headers on the wire, as structs of bytes: every field has alignment 1 and keeps its byte order in its type, so
// that a struct may lie anywhere in a frame. Nothing here owns or checks anything: header_at() is called where the
// bounds were checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "user/base/check.h"
#include "user/base/endian.h"

namespace xdplb {

// Ethernet types
inline constexpr uint16_t kEtherIpv4 = 0x0800, kEtherIpv6 = 0x86dd, kEtherVlan = 0x8100, kEtherServiceVlan = 0x88a8;

// Protocol numbers. The names are ours, because netinet/in.h makes macros of some.
inline constexpr uint8_t kProtoHopByHop = 0, kProtoIcmp = 1, kProtoTcp = 6, kProtoUdp = 17, kProtoRouting = 43,
                         kProtoFragment = 44, kProtoAh = 51, kProtoIcmp6 = 58, kProtoDestinationOptions = 60,
                         kProtoSctp = 132, kProtoMobility = 135, kProtoHip = 139, kProtoShim6 = 140;

struct EthernetHeader {
  uint8_t dst[6];
  uint8_t src[6];
  Be16 type;
};
static_assert(sizeof(EthernetHeader) == 14 && alignof(EthernetHeader) == 1);

// What follows an Ethernet type of 0x8100 or 0x88a8.
struct VlanTag {
  Be16 control;
  Be16 type;
};
static_assert(sizeof(VlanTag) == 4 && alignof(VlanTag) == 1);

struct Ipv4Header {
  uint8_t version_ihl;
  uint8_t tos;
  Be16 total_len;
  Be16 id;
  Be16 fragment;  // flags and offset
  uint8_t ttl;
  uint8_t protocol;
  Be16 checksum;
  uint8_t src[4];
  uint8_t dst[4];
};
static_assert(sizeof(Ipv4Header) == 20 && alignof(Ipv4Header) == 1);
inline constexpr uint16_t kIpv4MoreFragments = 0x2000, kIpv4OffsetMask = 0x1fff;

struct Ipv6Header {
  Be32 version_class_label;
  Be16 payload_len;
  uint8_t next_header;
  uint8_t hop_limit;
  uint8_t src[16];
  uint8_t dst[16];
};
static_assert(sizeof(Ipv6Header) == 40 && alignof(Ipv6Header) == 1);

// What every extension header but the fragment header begins with.
struct Ipv6ExtensionHeader {
  uint8_t next_header;
  uint8_t len;  // 8-byte units beyond the first; AH: 4-byte units beyond the first two
};
static_assert(sizeof(Ipv6ExtensionHeader) == 2);
inline constexpr uint32_t kMinExtensionBytes = 8;

struct Ipv6FragmentHeader {
  uint8_t next_header;
  uint8_t reserved;
  Be16 offset_flags;  // offset in the upper 13 bits, "more" in the lowest
  Be32 id;
};
static_assert(sizeof(Ipv6FragmentHeader) == 8 && alignof(Ipv6FragmentHeader) == 1);
inline constexpr uint16_t kIpv6MoreFragments = 0x0001, kIpv6OffsetMask = 0xfff8;

// What TCP, UDP and SCTP have in common.
struct PortsHeader {
  Be16 src_port;
  Be16 dst_port;
};
static_assert(sizeof(PortsHeader) == 4 && alignof(PortsHeader) == 1);

struct TcpHeader {
  Be16 src_port;
  Be16 dst_port;
  Be32 sequence;
  Be32 acknowledgement;
  uint8_t data_offset;  // 4-byte units, in the upper four bits
  uint8_t flags;
  Be16 window;
  Be16 checksum;
  Be16 urgent;
};
static_assert(sizeof(TcpHeader) == 20 && alignof(TcpHeader) == 1 && offsetof(TcpHeader, checksum) == 16);

struct UdpHeader {
  Be16 src_port;
  Be16 dst_port;
  Be16 len;
  Be16 checksum;
};
static_assert(sizeof(UdpHeader) == 8 && alignof(UdpHeader) == 1 && offsetof(UdpHeader, checksum) == 6);

struct SctpHeader {
  Be16 src_port;
  Be16 dst_port;
  Be32 tag;
  Be32 checksum;
};
static_assert(sizeof(SctpHeader) == 12 && alignof(SctpHeader) == 1);

struct IcmpHeader {
  uint8_t type;
  uint8_t code;
  Be16 checksum;
  Be32 rest;
};
static_assert(sizeof(IcmpHeader) == 8 && alignof(IcmpHeader) == 1);

// Message types. "Unreachable" of IPv4 includes "fragmentation needed".
inline constexpr uint8_t kIcmpEchoReply = 0, kIcmpUnreachable = 3, kIcmpEchoRequest = 8, kIcmpTimeExceeded = 11,
                         kIcmpParameterProblem = 12;
inline constexpr uint8_t kIcmp6Unreachable = 1, kIcmp6PacketTooBig = 2, kIcmp6TimeExceeded = 3,
                         kIcmp6ParameterProblem = 4, kIcmp6EchoRequest = 128, kIcmp6EchoReply = 129;

inline bool has_room(std::span<const uint8_t> bytes, uint32_t offset, uint32_t len_bytes) {
  return uint64_t{offset} + len_bytes <= bytes.size();
}

// The header at `offset`, which must lie within `bytes`.
template <typename Header>
const Header& header_at(std::span<const uint8_t> bytes, uint32_t offset) {
  static_assert(alignof(Header) == 1);
  XDPLB_DCHECK(has_room(bytes, offset, sizeof(Header)));
  return *reinterpret_cast<const Header*>(bytes.data() + offset);
}

// The bytes as they lie, in the host's order.
template <typename Word>
[[nodiscard]] Word word_at(const uint8_t* bytes) {
  Word word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

}  // namespace xdplb
