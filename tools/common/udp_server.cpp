#include "tools/common/udp_server.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "tools/common/socket.h"

namespace xdplb::tools {
namespace {

constexpr size_t kDatagramMax = 65536;
constexpr int kDatagramsATurn = 256;

// Turns "it was sent to" into "send from": the control message goes back as it came, but for the interface, which
// is the route's business except for a link-local address.
void keep_destination_as_source(msghdr& message) {
  cmsghdr* control = CMSG_FIRSTHDR(&message);
  if (control == nullptr) return;
  if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
    in_pktinfo info;
    std::memcpy(&info, CMSG_DATA(control), sizeof(info));
    info.ipi_ifindex = 0;
    info.ipi_spec_dst = info.ipi_addr;
    std::memcpy(CMSG_DATA(control), &info, sizeof(info));
    message.msg_controllen = CMSG_SPACE(sizeof(info));
  } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
    in6_pktinfo info;
    std::memcpy(&info, CMSG_DATA(control), sizeof(info));
    if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) info.ipi6_ifindex = 0;
    std::memcpy(CMSG_DATA(control), &info, sizeof(info));
    message.msg_controllen = CMSG_SPACE(sizeof(info));
  } else {
    message.msg_controllen = 0;
  }
}

}  // namespace

Result<std::unique_ptr<UdpServer>> UdpServer::listen(EventLoop& loop, const SocketAddress& address,
                                                     AnswerDatagram answer) {
  auto fd = open_datagram_server(address);
  if (!fd) return fd.error();
  return std::unique_ptr<UdpServer>(new UdpServer(loop, std::move(*fd), std::move(answer)));
}

UdpServer::UdpServer(EventLoop& loop, UniqueFd fd, AnswerDatagram answer)
    : fd_(std::move(fd)), answer_(std::move(answer)), buffer_(kDatagramMax), watch_(loop, *this) {
  watch_.wait_for(fd_.get(), POLLIN);
}

void UdpServer::on_ready(uint32_t) {
  for (int i = 0; i < kDatagramsATurn; ++i) {
    if (!serve_one()) break;
  }
  watch_.wait_for(fd_.get(), POLLIN);
}

// False where there is nothing more to read. Nothing that a datagram causes ends the server: an answer that cannot
// be sent (a forged source, a full queue) is lost, as UDP loses it.
bool UdpServer::serve_one() {
  sockaddr_storage peer;
  alignas(cmsghdr) std::array<char, 256> control;
  iovec data{buffer_.data(), buffer_.size()};
  msghdr message{};
  message.msg_name = &peer;
  message.msg_namelen = sizeof(peer);
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t n = ::recvmsg(fd_.get(), &message, 0);
  if (n < 0) return errno != EAGAIN;

  const std::string_view answer = answer_({buffer_.data(), static_cast<size_t>(n)});
  data = {const_cast<char*>(answer.data()), answer.size()};  // sendmsg only reads
  message.msg_flags = 0;
  keep_destination_as_source(message);
  (void)::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
  return true;
}

}  // namespace xdplb::tools
