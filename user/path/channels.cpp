#include "user/path/channels.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>

#include "user/base/unique_fd.h"

namespace xdplb {

Result<Channels> query_channels(const LinkInfo& link) {
  const UniqueFd socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket_fd.is_open()) return fail_errno(errno, "Cannot ask for the channels of [{}]", link.name);
  ethtool_channels channels = {};
  channels.cmd = ETHTOOL_GCHANNELS;
  ifreq request = {};
  link.name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(&channels);
  if (ioctl(socket_fd.get(), SIOCETHTOOL, &request) != 0) {
    if (errno != EOPNOTSUPP) return fail_errno(errno, "Cannot ask for the channels of [{}]", link.name);
    return Channels{std::max(1u, link.rx_queues), std::max(1u, link.tx_queues)};
  }
  const Channels used{channels.combined_count + channels.rx_count, channels.combined_count + channels.tx_count};
  return Channels{std::max(1u, used.rx), std::max(1u, used.tx)};
}

}  // namespace xdplb
