// How many queues a device really uses. Asked of ethtool in the daemon's own network namespace: sysfs may show another
// one's. Control thread only.
#pragma once

#include <cstdint>
#include <string>

#include "user/base/result.h"
#include "user/ctl/netlink.h"

namespace xdplb {

struct Channels {
  uint32_t rx = 1;
  uint32_t tx = 1;
  friend bool operator==(const Channels&, const Channels&) = default;
};

// Drivers that do not answer use as many as they allocated.
Result<Channels> query_channels(const LinkInfo& link);

}  // namespace xdplb
