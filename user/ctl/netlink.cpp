#include "user/ctl/netlink.h"

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <type_traits>

#include "user/ctl/netlink_ask.h"
#include "user/ctl/netlink_parse.h"

namespace xdplb {
namespace {

Result<LinkInfo> query_one_link(const NetlinkRequest& request, const std::string& what) {
  std::optional<LinkInfo> link;
  const auto done = ask_netlink(NETLINK_ROUTE, request, [&](std::span<const uint8_t> message) {
    if (const auto event = parse_link_message(message)) link = event->link;
  });
  if (!done && done.error().sys_errno != ENODEV) return done.error();
  if (!link) return Error{fmt::format("Unknown interface [{}]", what), ENODEV};
  return *link;
}

}  // namespace

Result<LinkInfo> query_link(const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ) {
    return Error{fmt::format("Unknown interface [{}]", name), ENODEV};
  }
  NetlinkRequest request;
  request.begin<ifinfomsg>(RTM_GETLINK, NLM_F_ACK);
  mnl_attr_put_strz(request.header, IFLA_IFNAME, name.c_str());
  return query_one_link(request, name);
}

Result<LinkInfo> query_link(uint32_t ifindex) {
  NetlinkRequest request;
  request.begin<ifinfomsg>(RTM_GETLINK, NLM_F_ACK)->ifi_index = static_cast<int>(ifindex);
  return query_one_link(request, std::to_string(ifindex));
}

Result<std::vector<LinkInfo>> list_links() {
  NetlinkRequest request;
  request.begin<ifinfomsg>(RTM_GETLINK, NLM_F_DUMP);
  return dump_netlink<LinkInfo>(request, [](std::span<const uint8_t> message) -> std::optional<LinkInfo> {
    const auto event = parse_link_message(message);
    if (!event) return std::nullopt;
    return event->link;
  });
}

Result<std::vector<LinkAddress>> list_addresses() {
  NetlinkRequest request;
  request.begin<ifaddrmsg>(RTM_GETADDR, NLM_F_DUMP);
  return dump_netlink<LinkAddress>(request, parse_address_message);
}

Result<std::vector<Gateway>> list_gateways() {
  NetlinkRequest request;
  request.begin<rtmsg>(RTM_GETROUTE, NLM_F_DUMP);
  const auto lists = dump_netlink<std::vector<Gateway>>(request, parse_route_message);
  if (!lists) return lists.error();
  std::vector<Gateway> gateways;
  for (const auto& list : *lists) gateways.insert(gateways.end(), list.begin(), list.end());
  return gateways;
}

Result<std::optional<Route>> query_route(const IpAddr& destination) {
  NetlinkRequest request;
  auto* route = request.begin<rtmsg>(RTM_GETROUTE, NLM_F_ACK);
  route->rtm_family = destination.is_v4() ? AF_INET : AF_INET6;
  route->rtm_dst_len = destination.is_v4() ? 32 : 128;
  put_address(request, RTA_DST, destination);
  std::optional<Route> found;
  const auto done = ask_netlink(NETLINK_ROUTE, request, [&](std::span<const uint8_t> message) {
    if (const auto answer = parse_route_answer(message)) found = answer;
  });
  constexpr std::array kNoWay = {ENETUNREACH, EHOSTUNREACH, ESRCH, EINVAL, EACCES};
  if (!done && std::find(kNoWay.begin(), kNoWay.end(), done.error().sys_errno) == kNoWay.end()) return done.error();
  return found;
}

Result<std::unique_ptr<LinkWatcher>> LinkWatcher::create() {
  auto socket = open_netlink(NETLINK_ROUTE, RTMGRP_LINK, SOCK_NONBLOCK);
  if (!socket) return socket.error();
  return std::unique_ptr<LinkWatcher>(new LinkWatcher(socket->release()));
}

LinkWatcher::~LinkWatcher() {
  mnl_socket_close(socket_);
}

int LinkWatcher::fd() const {
  return mnl_socket_get_fd(socket_);
}

Result<std::vector<LinkEvent>> LinkWatcher::read_events() {
  std::vector<LinkEvent> events;
  const auto read = read_netlink_events(*socket_, [&](std::span<const uint8_t> message) {
    if (auto event = parse_link_message(message)) events.push_back(std::move(*event));
  });
  if (!read) return read.error();
  if (*read == NetlinkEvents::overrun) events.push_back(LinkEvent{LinkEvent::Kind::overrun, {}});
  return events;
}

}  // namespace xdplb
