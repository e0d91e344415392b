// The Internet checksum (RFC 1071) and what a partial one from a veth or VM peer needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "user/net/parse.h"

namespace xdplb {

// The folded ones'-complement sum of the bytes (not inverted), seeded with a sum computed before. Host order value of
// big-endian words.
uint16_t checksum_fold(std::span<const uint8_t> bytes, uint32_t initial = 0);

// Completes the TCP or UDP checksum of a packet whose field holds only the folded pseudo-header sum
// (CHECKSUM_PARTIAL, as handed over by a veth or VM peer). Every other packet is left alone, so that a corrupted one
// never becomes valid; UDP without a checksum (0) stays so; fragments are left alone. Returns true where it wrote.
bool complete_checksum(std::span<uint8_t> frame, const PacketInfo& info);

}  // namespace xdplb
