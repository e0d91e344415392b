#include "user/ctl/neighbours.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "user/ctl/netlink_parse.h"

namespace xdplb {

Result<std::vector<Neighbour>> list_neighbours(uint32_t ifindex) {
  NetlinkRequest request;
  request.begin<ndmsg>(RTM_GETNEIGH, NLM_F_DUMP);
  if (ifindex != 0) mnl_attr_put_u32(request.header, NDA_IFINDEX, ifindex);
  return dump_netlink<Neighbour>(request, parse_neighbour_message);
}

Result<void> ask_for_neighbour(uint32_t ifindex, const IpAddr& address) {
  NetlinkRequest request;
  auto* neighbour = request.begin<ndmsg>(RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE);
  neighbour->ndm_family = address.is_v4() ? AF_INET : AF_INET6;
  neighbour->ndm_ifindex = static_cast<int>(ifindex);
  neighbour->ndm_state = NUD_NONE;
  // "As if a packet were sent to it": the kernel asks or probes where it is not sure.
  neighbour->ndm_flags = NTF_USE;
  put_address(request, NDA_DST, address);
  return ask_netlink(NETLINK_ROUTE, request, [](std::span<const uint8_t>) {});
}

Result<NeighbourSocket> NeighbourSocket::open() {
  auto socket = open_netlink(NETLINK_ROUTE, RTMGRP_NEIGH, SOCK_NONBLOCK);
  if (!socket) return socket.error();
  return NeighbourSocket(std::move(*socket));
}

Result<NetlinkEvents> NeighbourSocket::read(const std::function<void(const Neighbour&)>& on_news) {
  return read_netlink_events(*socket_, [&](std::span<const uint8_t> message) {
    if (const auto neighbour = parse_neighbour_message(message)) on_news(*neighbour);
  });
}

}  // namespace xdplb
