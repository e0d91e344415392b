// The kernel's table of neighbours: what it says of addresses on our segments, and asking it to find some out
// (rtnetlink). The control thread's; needs CAP_NET_ADMIN for asking.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "user/base/result.h"
#include "user/ctl/netlink_ask.h"
#include "user/lb/neighbour_watch.h"
#include "user/net/ip.h"
#include "user/net/mac.h"

namespace xdplb {

struct Neighbour {
  uint32_t ifindex = 0;
  IpAddr address;
  MacAddr mac;  // zero: not known
  NeighbourNews news = NeighbourNews::pending;
};

// All that the kernel has of this device; 0: of every device.
Result<std::vector<Neighbour>> list_neighbours(uint32_t ifindex = 0);

// Makes the kernel look for the address: an entry that is missing or failed is asked for, a stale one is probed. What
// comes of it is news.
Result<void> ask_for_neighbour(uint32_t ifindex, const IpAddr& address);

// Hears what changes in the table. The event loop watches its descriptor.
class NeighbourSocket {
 public:
  static Result<NeighbourSocket> open();

  [[nodiscard]] int fd() const { return mnl_socket_get_fd(socket_.get()); }

  // What has come since. Never blocks; bounded in number per call.
  Result<NetlinkEvents> read(const std::function<void(const Neighbour&)>& on_news);

 private:
  explicit NeighbourSocket(NetlinkSocket socket) : socket_(std::move(socket)) {}
  NetlinkSocket socket_;
};

}  // namespace xdplb
