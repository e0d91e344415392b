// One question to the kernel over netlink and all of its answer. A socket of its own for each; bounded in time.
// Control thread and commands.
#pragma once

#include <libmnl/libmnl.h>
#include <linux/netlink.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "user/base/result.h"
#include "user/net/ip.h"

namespace xdplb {

struct NetlinkSocketCloser {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using NetlinkSocket = std::unique_ptr<mnl_socket, NetlinkSocketCloser>;

// `bus`: NETLINK_ROUTE, NETLINK_GENERIC.
Result<NetlinkSocket> open_netlink(int bus, unsigned groups, int flags);

struct NetlinkRequest {
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

using OnNetlinkMessage = std::function<void(std::span<const uint8_t>)>;

// Hands the messages that lie in `bytes` to `on_message`, header included. What mnl_cb_run says.
int for_each_message(std::span<const uint8_t> bytes, uint32_t sequence, uint32_t port_id,
                     const OnNetlinkMessage& on_message);

// Sends the request and hands every message of the answer to `on_message`. The answer to a query that is not a dump
// ends with its ACK (NLM_F_ACK). A dump that changed underway ends with EINTR.
Result<void> ask_netlink(int bus, const NetlinkRequest& request, const OnNetlinkMessage& on_message);

// Everything of a kind (NLM_F_DUMP): what `parse` makes of each message. Asked again where it changed underway.
template <typename Item>
Result<std::vector<Item>> dump_netlink(const NetlinkRequest& request,
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

// An address as an attribute: four bytes for IPv4, else sixteen.
void put_address(NetlinkRequest& request, uint16_t attribute, const IpAddr& address);

enum class NetlinkEvents : uint8_t {
  complete,
  overrun,  // the kernel dropped some: ask for everything again
};
// What has come to a subscribed socket since. Never blocks where the socket does not; bounded in number per call
// (call again while the descriptor is readable).
Result<NetlinkEvents> read_netlink_events(mnl_socket& socket, const OnNetlinkMessage& on_message);

// Large enough for one datagram of a dump (libmnl: MNL_SOCKET_BUFFER_SIZE is 8 KiB on most machines; a link with many
// virtual functions takes more).
inline constexpr size_t kNetlinkBufferBytes = 64u << 10;

}  // namespace xdplb
