// The Internet checksum (RFC 1071) and what a partial one from a veth or VM peer needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "user/net/headers.h"
#include "user/net/parse.h"

namespace xdplb {

// The folded ones'-complement sum of the bytes (not inverted), seeded with a sum computed before. Host order value of
// big-endian words.
uint16_t checksum_fold(std::span<const uint8_t> bytes, uint32_t initial = 0);

// Whether the field of a TCP or UDP packet may hold the pseudo-header sum alone: the two are equal modulo 65535. Of
// whole checksums one in 65535 looks so. For each packet of a peer that may leave them undone, therefore inline.
[[nodiscard]] inline bool checksum_may_be_partial(const uint8_t* frame, const PacketInfo& info);

// Completes the TCP or UDP checksum of a packet whose field holds only the folded pseudo-header sum
// (CHECKSUM_PARTIAL, as handed over by a veth or VM peer). Every other packet is left alone, so that a corrupted one
// never becomes valid; UDP without a checksum (0) stays so; fragments are left alone. Returns true where it wrote.
bool complete_checksum(std::span<uint8_t> frame, const PacketInfo& info);

inline bool checksum_may_be_partial(const uint8_t* frame, const PacketInfo& info) {
  static_assert(offsetof(FlowKey, src) == 0 && offsetof(FlowKey, dst) == sizeof(IpAddr));
  if (info.kind != PacketKind::transport) return false;
  const uint8_t* const l4 = frame + info.l4_offset;
  uint64_t field = 0;
  uint64_t len = 0;
  if (info.key.protocol == kProtoUdp) {
    const auto& udp = *reinterpret_cast<const UdpHeader*>(l4);
    field = word_at<uint16_t>(l4 + offsetof(UdpHeader, checksum));
    len = udp.len.get();
  } else if (info.key.protocol == kProtoTcp) {
    field = word_at<uint16_t>(l4 + offsetof(TcpHeader, checksum));
    len = uint64_t{info.packet_len} - info.l4_offset;
  } else {
    return false;
  }
  // As the words lie in memory (RFC 1071, 2 (B)): a number in host order is swapped, which modulo 65535 is times 256.
  uint64_t sum = (len + info.key.protocol) << 8;
  for (uint32_t at = 0; at < 2 * sizeof(IpAddr); at += sizeof(uint32_t)) {
    sum += word_at<uint32_t>(reinterpret_cast<const uint8_t*>(&info.key) + at);
  }
  return (sum + 0xffff - field) % 0xffff == 0;
}

}  // namespace xdplb
