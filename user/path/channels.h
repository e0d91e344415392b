// How many queues a device really uses, and what drives it. Asked of ethtool in the daemon's own network namespace:
// sysfs may show another one's. Control thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "user/base/result.h"
#include "user/ctl/netlink.h"

namespace xdplb {

struct Channels {
  uint32_t rx = 1;
  uint32_t tx = 1;
  friend bool operator==(const Channels&, const Channels&) = default;
};

// Drivers that do not answer use as many as they allocated. Ask after the program is attached: on virtio_net that
// adds receive queues, without transmit queues to go with them, and ethtool still calls them "combined". What is sent
// on such a queue never completes, so for transmit sysfs is asked too.
Result<Channels> query_channels(const LinkInfo& link);

// Its driver, as `ethtool -i` names it; empty where it does not tell.
std::string query_driver(const LinkInfo& link);

// How many transmit queues of this very device sysfs shows, below `root`. Nothing where it shows another device of
// that name (that of the network namespace in which sysfs was mounted), or none.
std::optional<uint32_t> sysfs_tx_queues(const LinkInfo& link, const std::string& root = "/sys/class/net");

}  // namespace xdplb
