// parse_packet: what steering needs to know of a received frame, and nothing else. Pure, bounded, one pass.
//
// Hostile input: every read is checked against the frame's length, every loop over headers is bounded. A frame that
// this refuses is dropped with the Reason given; it agrees with kern/classify.h on what a well-formed packet's
// destination, protocol and port are (tests/fuzz holds the two against each other).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "user/base/reason.h"
#include "user/net/flow_key.h"

namespace xdplb {

enum class PacketKind : uint8_t {
  transport,       // TCP, UDP or SCTP with ports in the key
  other,           // any other protocol, by addresses
  icmp_echo,       // ICMP or ICMPv6 echo request or reply, by addresses
  icmp_error,      // the key is that of the packet inside, reversed: the flow from the client to the VIP
  first_fragment,  // offset 0, more to come: as transport or other, and fragment_id is set
  later_fragment,  // offset > 0: no ports, fragment_id is set
};

// TCP flags as on the wire.
inline constexpr uint8_t kTcpFin = 0x01, kTcpSyn = 0x02, kTcpRst = 0x04, kTcpAck = 0x10;

// A batch has an array of these: one cache line each.
struct alignas(64) PacketInfo {
  FlowKey key;                   // see PacketKind
  uint32_t fragment_id = 0;      // IPv4 identification (16 bits) or IPv6 identification
  uint16_t fragment_offset = 0;  // bytes
  uint16_t fragment_len = 0;     // payload bytes of this fragment
  bool more_fragments = false;
  bool inner_is_fragment = false;  // icmp_error: the packet inside had no ports for us
  PacketKind kind = PacketKind::other;
  uint8_t ip_version = 0;
  uint16_t l3_offset = 0;   // bytes from the start of the frame to the IP header
  uint16_t l4_offset = 0;   // ... to the transport header (or the fragment's payload)
  uint16_t packet_len = 0;  // length of the frame without link-layer padding: l3_offset + IP length
  uint8_t tcp_flags = 0;
  uint8_t reserved[5] = {};
};
static_assert(sizeof(PacketInfo) == 64);

// Offsets are 16 bits wide; no device hands over more.
inline constexpr size_t kMaxFrameLenBytes = 65535;

// Reads `frame` (from the Ethernet header on, VLAN tags included) into `info`. Reason::none on success.
Reason parse_packet(std::span<const uint8_t> frame, PacketInfo& info);

// The same without the short way that most frames take (user/net/parse_common.h).
Reason parse_any(std::span<const uint8_t> frame, PacketInfo& info);

}  // namespace xdplb
