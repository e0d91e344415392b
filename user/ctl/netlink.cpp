#include "user/ctl/netlink.h"

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <type_traits>

#include "user/ctl/netlink_ask.h"
#include "user/ctl/netlink_parse.h"

namespace xdplb {
namespace {

constexpr int kDatagramsPerRead = 256;

template <typename Item>
Result<std::vector<Item>> dump(const NetlinkRequest& request,
                               const std::function<std::optional<Item>(std::span<const uint8_t>)>& parse) {
  constexpr int kAttempts = 5;
  for (int attempt = 1;; ++attempt) {
    std::vector<Item> items;
    const auto done = ask_netlink(NETLINK_ROUTE, request, [&](std::span<const uint8_t> message) {
      if (auto item = parse(message)) items.push_back(std::move(*item));
    });
    if (done) return items;
    if (done.error().sys_errno != EINTR || attempt == kAttempts) return done.error();
  }
}

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
  return dump<LinkInfo>(request, [](std::span<const uint8_t> message) -> std::optional<LinkInfo> {
    const auto event = parse_link_message(message);
    if (!event) return std::nullopt;
    return event->link;
  });
}

Result<std::vector<LinkAddress>> list_addresses() {
  NetlinkRequest request;
  request.begin<ifaddrmsg>(RTM_GETADDR, NLM_F_DUMP);
  return dump<LinkAddress>(request, parse_address_message);
}

Result<std::vector<Gateway>> list_gateways() {
  NetlinkRequest request;
  request.begin<rtmsg>(RTM_GETROUTE, NLM_F_DUMP);
  const auto lists = dump<std::vector<Gateway>>(request, parse_route_message);
  if (!lists) return lists.error();
  std::vector<Gateway> gateways;
  for (const auto& list : *lists) gateways.insert(gateways.end(), list.begin(), list.end());
  return gateways;
}

Result<std::vector<Neighbour>> list_neighbours(uint32_t ifindex) {
  NetlinkRequest request;
  request.begin<ndmsg>(RTM_GETNEIGH, NLM_F_DUMP);
  if (ifindex != 0) mnl_attr_put_u32(request.header, NDA_IFINDEX, ifindex);
  return dump<Neighbour>(request, parse_neighbour_message);
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
  const OnNetlinkMessage collect = [&](std::span<const uint8_t> message) {
    if (auto event = parse_link_message(message)) events.push_back(std::move(*event));
  };
  std::vector<uint8_t> buffer(kNetlinkBufferBytes);
  for (int i = 0; i < kDatagramsPerRead; ++i) {
    const ssize_t len = mnl_socket_recvfrom(socket_, buffer.data(), buffer.size());
    if (len < 0 && errno == EINTR) continue;
    if (len < 0 && errno == EAGAIN) break;
    if (len < 0 && (errno == ENOBUFS || errno == ENOSPC)) {
      events.push_back(LinkEvent{LinkEvent::Kind::overrun, {}});
      continue;
    }
    if (len < 0) return fail_errno(errno, "Cannot read link events");
    if (for_each_message({buffer.data(), static_cast<size_t>(len)}, 0, 0, collect) < 0) {
      return fail_errno(errno, "Cannot read link events");
    }
  }
  return events;
}

}  // namespace xdplb
