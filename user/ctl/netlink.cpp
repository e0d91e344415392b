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

#include "user/ctl/netlink_parse.h"

namespace xdplb {
namespace {

// Large enough for one datagram of a dump (libmnl: MNL_SOCKET_BUFFER_SIZE is 8 KiB on most machines; a link with many
// virtual functions takes more).
constexpr size_t kBufferBytes = 64u << 10;
constexpr int kReceiveTimeout_s = 2;
constexpr int kDatagramsPerRead = 256;

struct SocketCloser {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using Socket = std::unique_ptr<mnl_socket, SocketCloser>;

Result<Socket> open_socket(unsigned groups, int flags) {
  Socket socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | flags));
  if (!socket) return fail_errno(errno, "Cannot open a netlink socket");
  if (mnl_socket_bind(socket.get(), groups, MNL_SOCKET_AUTOPID) < 0) {
    return fail_errno(errno, "Cannot bind a netlink socket");
  }
  return socket;
}

struct Request {
  alignas(nlmsghdr) uint8_t bytes[256] = {};
  nlmsghdr* header = nullptr;

  template <typename Payload>
  Payload* begin(uint16_t type, uint16_t flags) {
    header = mnl_nlmsg_put_header(bytes);
    header->nlmsg_type = type;
    header->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    header->nlmsg_seq = 1;
    return static_cast<Payload*>(mnl_nlmsg_put_extra_header(header, sizeof(Payload)));
  }
};

using OnMessage = std::function<void(std::span<const uint8_t>)>;

int forward_message(const nlmsghdr* message, void* data) {
  (*static_cast<const OnMessage*>(data))({reinterpret_cast<const uint8_t*>(message), message->nlmsg_len});
  return MNL_CB_OK;
}

// Sends the request and hands every message of the answer to `on_message`. A dump that the kernel calls inconsistent
// (EINTR: it changed underway) is asked for again. The answer to a query that is not a dump ends with its ACK.
Result<void> ask_once(const Request& request, const OnMessage& on_message) {
  auto socket = open_socket(0, 0);
  if (!socket) return socket.error();
  const timeval timeout{kReceiveTimeout_s, 0};
  ::setsockopt(mnl_socket_get_fd(socket->get()), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  if (mnl_socket_sendto(socket->get(), request.header, request.header->nlmsg_len) < 0) {
    return fail_errno(errno, "Cannot send a netlink request");
  }
  std::vector<uint8_t> buffer(kBufferBytes);
  for (;;) {
    const ssize_t len = mnl_socket_recvfrom(socket->get(), buffer.data(), buffer.size());
    if (len < 0) return fail_errno(errno, "Cannot read a netlink answer");
    const int more =
        mnl_cb_run(buffer.data(), static_cast<size_t>(len), request.header->nlmsg_seq,
                   mnl_socket_get_portid(socket->get()), forward_message, const_cast<OnMessage*>(&on_message));
    if (more < 0) return fail_errno(errno, "netlink");
    if (more == MNL_CB_STOP) return {};
  }
}

template <typename Item>
Result<std::vector<Item>> dump(const Request& request,
                               const std::function<std::optional<Item>(std::span<const uint8_t>)>& parse) {
  constexpr int kAttempts = 5;
  for (int attempt = 1;; ++attempt) {
    std::vector<Item> items;
    const auto done = ask_once(request, [&](std::span<const uint8_t> message) {
      if (auto item = parse(message)) items.push_back(std::move(*item));
    });
    if (done) return items;
    if (done.error().sys_errno != EINTR || attempt == kAttempts) return done.error();
  }
}

Result<LinkInfo> query_one_link(const Request& request, const std::string& what) {
  std::optional<LinkInfo> link;
  const auto done = ask_once(request, [&](std::span<const uint8_t> message) {
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
  Request request;
  request.begin<ifinfomsg>(RTM_GETLINK, NLM_F_ACK);
  mnl_attr_put_strz(request.header, IFLA_IFNAME, name.c_str());
  return query_one_link(request, name);
}

Result<LinkInfo> query_link(uint32_t ifindex) {
  Request request;
  request.begin<ifinfomsg>(RTM_GETLINK, NLM_F_ACK)->ifi_index = static_cast<int>(ifindex);
  return query_one_link(request, std::to_string(ifindex));
}

Result<std::vector<LinkInfo>> list_links() {
  Request request;
  request.begin<ifinfomsg>(RTM_GETLINK, NLM_F_DUMP);
  return dump<LinkInfo>(request, [](std::span<const uint8_t> message) -> std::optional<LinkInfo> {
    const auto event = parse_link_message(message);
    if (!event) return std::nullopt;
    return event->link;
  });
}

Result<std::vector<LinkAddress>> list_addresses() {
  Request request;
  request.begin<ifaddrmsg>(RTM_GETADDR, NLM_F_DUMP);
  return dump<LinkAddress>(request, parse_address_message);
}

Result<std::vector<Gateway>> list_gateways() {
  Request request;
  request.begin<rtmsg>(RTM_GETROUTE, NLM_F_DUMP);
  const auto lists = dump<std::vector<Gateway>>(request, parse_route_message);
  if (!lists) return lists.error();
  std::vector<Gateway> gateways;
  for (const auto& list : *lists) gateways.insert(gateways.end(), list.begin(), list.end());
  return gateways;
}

Result<std::vector<Neighbour>> list_neighbours(uint32_t ifindex) {
  Request request;
  request.begin<ndmsg>(RTM_GETNEIGH, NLM_F_DUMP);
  if (ifindex != 0) mnl_attr_put_u32(request.header, NDA_IFINDEX, ifindex);
  return dump<Neighbour>(request, parse_neighbour_message);
}

Result<std::unique_ptr<LinkWatcher>> LinkWatcher::create() {
  auto socket = open_socket(RTMGRP_LINK, SOCK_NONBLOCK);
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
  const OnMessage collect = [&](std::span<const uint8_t> message) {
    if (auto event = parse_link_message(message)) events.push_back(std::move(*event));
  };
  std::vector<uint8_t> buffer(kBufferBytes);
  for (int i = 0; i < kDatagramsPerRead; ++i) {
    const ssize_t len = mnl_socket_recvfrom(socket_, buffer.data(), buffer.size());
    if (len < 0 && errno == EINTR) continue;
    if (len < 0 && errno == EAGAIN) break;
    if (len < 0 && (errno == ENOBUFS || errno == ENOSPC)) {
      events.push_back(LinkEvent{LinkEvent::Kind::overrun, {}});
      continue;
    }
    if (len < 0) return fail_errno(errno, "Cannot read link events");
    if (mnl_cb_run(buffer.data(), static_cast<size_t>(len), 0, 0, forward_message, const_cast<OnMessage*>(&collect)) <
        0) {
      return fail_errno(errno, "Cannot read link events");
    }
  }
  return events;
}

}  // namespace xdplb
