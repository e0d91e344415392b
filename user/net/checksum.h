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

// In place of the partial one that a packet has.
void write_whole_checksum(std::span<uint8_t> frame, const PacketInfo& info);

// Without a division: an odd number divides exactly those whose product with its inverse modulo 2^64 is at most 2^64
// divided by it (H. Warren, Hacker's Delight, 10-17).
constexpr bool is_multiple_of_65535(uint64_t number) {
  constexpr uint64_t kInverse = 0xfffefffefffeffff;
  static_assert(kInverse * 0xffff == 1);
  return number * kInverse <= ~uint64_t{0} / 0xffff;
}

// Where the checksum of a TCP or UDP packet lies behind its transport header's first byte, and how many bytes from
// there it covers; 0: not for us.
struct CoveredByChecksum {
  uint32_t field;
  uint32_t len;
};
inline CoveredByChecksum covered_by_checksum(const uint8_t* frame, const PacketInfo& info) {
  if (info.kind != PacketKind::transport) return {0, 0};
  const uint8_t* const l4 = frame + info.l4_offset;
  if (info.key.protocol == kProtoTcp)
    return {offsetof(TcpHeader, checksum), uint32_t{info.packet_len} - info.l4_offset};
  if (info.key.protocol == kProtoUdp)
    return {offsetof(UdpHeader, checksum), reinterpret_cast<const UdpHeader*>(l4)->len.get()};
  return {0, 0};
}

// Whether the field holds the folded pseudo-header sum and nothing else (CHECKSUM_PARTIAL, as handed over by a veth
// or VM peer). Asked for each packet of such a peer, therefore inline: that sum is never 0, so the two are the same
// where they are equal modulo 65535 and the field is not 0.
[[nodiscard]] inline bool has_partial_checksum(const uint8_t* frame, const PacketInfo& info) {
  static_assert(offsetof(FlowKey, src) == 0 && offsetof(FlowKey, dst) == sizeof(IpAddr));
  const CoveredByChecksum covered = covered_by_checksum(frame, info);
  if (covered.len == 0) return false;
  const uint64_t field = word_at<uint16_t>(frame + info.l4_offset + covered.field);
  // As the words lie in memory (RFC 1071, 2 (B)): a number in host order is swapped, which modulo 65535 is times 256.
  // The two addresses lie side by side in the key; the ff:ff that an IPv4 one brings along is a zero.
  uint64_t sum = (uint64_t{covered.len} + info.key.protocol) << 8;
  for (uint32_t at = 0; at < 2 * sizeof(IpAddr); at += sizeof(uint32_t)) {
    sum += word_at<uint32_t>(reinterpret_cast<const uint8_t*>(&info.key) + at);
  }
  return field != 0 && is_multiple_of_65535(sum + 0xffff - field);
}

// Completes a partial checksum. Every other packet is left alone, so that a corrupted one never becomes valid; UDP
// without a checksum (0) stays so; fragments are left alone. Returns true where it wrote.
inline bool complete_checksum(std::span<uint8_t> frame, const PacketInfo& info) {
  if (!has_partial_checksum(frame.data(), info)) return false;
  write_whole_checksum(frame, info);
  return true;
}

}  // namespace xdplb
