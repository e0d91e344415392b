#include "user/ctl/ethtool.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "user/base/unique_fd.h"

namespace xdplb {
namespace {

std::optional<uint32_t> query_value(const LinkInfo& link, uint32_t command) {
  ethtool_value value = {};
  value.cmd = command;
  return ask_ethtool(link, &value) ? std::optional(value.data) : std::nullopt;
}

}  // namespace

bool ask_ethtool(const LinkInfo& link, void* question) {
  const UniqueFd socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket_fd.is_open()) return false;
  ifreq request = {};
  link.name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_data = static_cast<char*>(question);
  return ioctl(socket_fd.get(), SIOCETHTOOL, &request) == 0;
}

std::optional<Offloads> query_offloads(const LinkInfo& link) {
  const auto gro = query_value(link, ETHTOOL_GGRO);
  const auto flags = query_value(link, ETHTOOL_GFLAGS);
  if (!gro || !flags) return std::nullopt;
  return Offloads{*gro != 0, (*flags & ETH_FLAG_LRO) != 0, (*flags & ETH_FLAG_RXVLAN) != 0};
}

std::optional<bool> query_udp_ports_hashed(const LinkInfo& link, bool ipv6) {
  ethtool_rxnfc question = {};
  question.cmd = ETHTOOL_GRXFH;
  question.flow_type = ipv6 ? UDP_V6_FLOW : UDP_V4_FLOW;
  if (!ask_ethtool(link, &question)) return std::nullopt;
  constexpr uint64_t kPorts = RXH_L4_B_0_1 | RXH_L4_B_2_3;
  return (question.data & kPorts) == kPorts;
}

}  // namespace xdplb
