// The bounds of the product, in one place. What exceeds one of them is refused with a message that names it.
#pragma once

#include <cstdint>

#include "kern/abi.h"

namespace xdplb {

inline constexpr uint32_t kMaxQueues = XDPLB_MAX_QUEUES;    // queues of one device that we serve
inline constexpr uint32_t kMaxDevices = XDPLB_MAX_DEVICES;  // ingress devices of one daemon
inline constexpr uint32_t kMaxVips = XDPLB_MAX_VIPS;        // exact addresses
inline constexpr uint32_t kMaxPrefixes = XDPLB_MAX_PREFIXES;
inline constexpr uint32_t kMaxServices = 8192;
inline constexpr uint32_t kMaxTargets = 65535;        // targets of one configuration; ids fit 16 bits
inline constexpr uint32_t kMaxServiceTargets = 4096;  // targets of one service
inline constexpr uint32_t kMinTableSize = 2;
inline constexpr uint32_t kMaxTableSize = 1u << 20;  // Maglev entries of one service
inline constexpr uint32_t kMaxWeight = 1000;
inline constexpr uint32_t kMaxNameLen = 63;  // bytes of a target's or service's name

inline constexpr uint32_t kFrameBytes = 4096;       // one UMEM chunk,
inline constexpr uint32_t kSmallFrameBytes = 2048;  // or half as much where that is enough (umem/sizing.h)
inline constexpr uint32_t kMaxBatch = 256;          // packets that go through the stages together
inline constexpr uint32_t kMaxTurn = 4096;          // packets of one queue in a worker's turn

inline constexpr uint32_t kDefaultTableSize = 997;  // `init --m`
inline constexpr uint32_t kDefaultTargets = 20;     // `init --n`

}  // namespace xdplb
