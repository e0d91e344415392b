// One question to the kernel over netlink and all of its answer. A socket of its own for each; bounded in time.
// Control thread and commands.
#pragma once

#include <libmnl/libmnl.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "user/base/result.h"

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

// Large enough for one datagram of a dump (libmnl: MNL_SOCKET_BUFFER_SIZE is 8 KiB on most machines; a link with many
// virtual functions takes more).
inline constexpr size_t kNetlinkBufferBytes = 64u << 10;

}  // namespace xdplb
