// What a device can do with XDP frames, as the kernel's netdev netlink family tells (kernel 6.3 and later).
// Control thread only.
#pragma once

#include <cstdint>

#include "user/base/result.h"

namespace xdplb {

// Bits of NETDEV_A_DEV_XDP_FEATURES (include/uapi/linux/netdev.h, enum netdev_xdp_act).
inline constexpr uint64_t kXdpFeatureTransmit = 1u << 2;  // takes redirected frames (ndo_xdp_xmit) at this moment
inline constexpr uint64_t kXdpFeatureZeroCopy = 1u << 3;

// Error EOPNOTSUPP where the kernel is too old to say.
Result<uint64_t> query_xdp_features(uint32_t ifindex);

}  // namespace xdplb
