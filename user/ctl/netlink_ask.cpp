#include "user/ctl/netlink_ask.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <vector>

namespace xdplb {
namespace {

constexpr int kReceiveTimeout_s = 2;
constexpr int kDatagramsPerRead = 256;

int forward_message(const nlmsghdr* message, void* data) {
  (*static_cast<const OnNetlinkMessage*>(data))({reinterpret_cast<const uint8_t*>(message), message->nlmsg_len});
  return MNL_CB_OK;
}

}  // namespace

Result<NetlinkSocket> open_netlink(int bus, unsigned groups, int flags) {
  NetlinkSocket socket(mnl_socket_open2(bus, SOCK_CLOEXEC | flags));
  if (!socket) return fail_errno(errno, "Cannot open a netlink socket");
  if (mnl_socket_bind(socket.get(), groups, MNL_SOCKET_AUTOPID) < 0) {
    return fail_errno(errno, "Cannot bind a netlink socket");
  }
  return socket;
}

int for_each_message(std::span<const uint8_t> bytes, uint32_t sequence, uint32_t port_id,
                     const OnNetlinkMessage& on_message) {
  return mnl_cb_run(bytes.data(), bytes.size(), sequence, port_id, forward_message,
                    const_cast<OnNetlinkMessage*>(&on_message));
}

Result<void> ask_netlink(int bus, const NetlinkRequest& request, const OnNetlinkMessage& on_message) {
  auto socket = open_netlink(bus, 0, 0);
  if (!socket) return socket.error();
  const timeval timeout{kReceiveTimeout_s, 0};
  ::setsockopt(mnl_socket_get_fd(socket->get()), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  if (mnl_socket_sendto(socket->get(), request.header, request.header->nlmsg_len) < 0) {
    return fail_errno(errno, "Cannot send a netlink request");
  }
  std::vector<uint8_t> buffer(kNetlinkBufferBytes);
  for (;;) {
    const ssize_t len = mnl_socket_recvfrom(socket->get(), buffer.data(), buffer.size());
    if (len < 0) return fail_errno(errno, "Cannot read a netlink answer");
    const int more = for_each_message({buffer.data(), static_cast<size_t>(len)}, request.header->nlmsg_seq,
                                      mnl_socket_get_portid(socket->get()), on_message);
    if (more < 0) return fail_errno(errno, "netlink");
    if (more == MNL_CB_STOP) return {};
  }
}

void put_address(NetlinkRequest& request, uint16_t attribute, const IpAddr& address) {
  const std::span<const uint8_t> all = address.bytes;
  const auto bytes = address.is_v4() ? all.last(4) : all;
  mnl_attr_put(request.header, attribute, bytes.size(), bytes.data());
}

Result<NetlinkEvents> read_netlink_events(mnl_socket& socket, const OnNetlinkMessage& on_message) {
  auto outcome = NetlinkEvents::complete;
  std::vector<uint8_t> buffer(kNetlinkBufferBytes);
  for (int i = 0; i < kDatagramsPerRead; ++i) {
    const ssize_t len = mnl_socket_recvfrom(&socket, buffer.data(), buffer.size());
    if (len < 0 && errno == EINTR) continue;
    if (len < 0 && errno == EAGAIN) break;
    if (len < 0 && (errno == ENOBUFS || errno == ENOSPC)) {
      outcome = NetlinkEvents::overrun;
      continue;
    }
    if (len < 0 || for_each_message({buffer.data(), static_cast<size_t>(len)}, 0, 0, on_message) < 0) {
      return fail_errno(errno, "Cannot read netlink events");
    }
  }
  return outcome;
}

}  // namespace xdplb
