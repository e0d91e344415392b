// The one thing that we write into a packet on its way: the Ethernet addresses. The IP packet stays byte for byte
// as the client sent it, so no checksum changes.
#pragma once

#include <cstdint>
#include <cstring>

#include "user/net/mac.h"

namespace xdplb {

// `frame` has at least the twelve bytes of the two addresses: parse_packet has accepted it.
inline void rewrite_macs(uint8_t* frame, const MacAddr& dst, const MacAddr& src) {
  std::memcpy(frame, dst.bytes.data(), sizeof dst.bytes);
  std::memcpy(frame + sizeof dst.bytes, src.bytes.data(), sizeof src.bytes);
}

}  // namespace xdplb
