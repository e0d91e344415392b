// The one thing that we write into a packet on its way: the Ethernet addresses. The IP packet stays byte for byte
// as the client sent it, so no checksum changes.
#pragma once

#include <cstdint>
#include <cstring>

#include "user/net/headers.h"
#include "user/net/mac.h"

namespace xdplb {

// `frame` has at least the twelve bytes of the two addresses: parse_packet has accepted it.
inline void rewrite_macs(uint8_t* frame, const MacAddr& dst, const MacAddr& src) {
  // Put together in registers: two stores instead of four, since a batch's frames all lie in one set of the
  // first-level cache and each store asks the next level.
  const uint64_t first = word_at<uint32_t>(dst.bytes.data()) | uint64_t{word_at<uint16_t>(&dst.bytes[4])} << 32 |
                         uint64_t{word_at<uint16_t>(src.bytes.data())} << 48;
  const auto last = word_at<uint32_t>(&src.bytes[2]);
  std::memcpy(frame, &first, sizeof first);
  std::memcpy(frame + sizeof first, &last, sizeof last);
}

}  // namespace xdplb
