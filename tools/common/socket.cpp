#include "tools/common/socket.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

namespace xdplb::tools {
namespace {

constexpr int kBacklogMax = 65535;             // the kernel cuts it to net.core.somaxconn
constexpr int kDatagramBufferBytes = 1 << 22;  // bursts of thousands of clients; cut to net.core.rmem_max
constexpr int kKeepIdleSec = 15;               // as the original: a peer that vanished is gone after two minutes
constexpr int kKeepProbes = 8;
constexpr unsigned kUnackedMaxMs = 120'000;  // a peer that takes nothing is given up

bool set_option(int fd, int level, int name, int value) {
  return ::setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

Result<UniqueFd> open_socket(int family, int type, const std::string& what) {
  UniqueFd fd(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) return fail_errno(errno, "Cannot open a socket for {}", what);
  return fd;
}

Result<UniqueFd> open_bound(const SocketAddress& address, Transport transport) {
  const std::string what = describe(transport, address);
  auto fd = open_socket(address.family(), transport == Transport::tcp ? SOCK_STREAM : SOCK_DGRAM, what);
  if (!fd) return fd;
  if (transport == Transport::tcp && !set_option(fd->get(), SOL_SOCKET, SO_REUSEADDR, 1)) {
    return fail_errno(errno, "SO_REUSEADDR for {}", what);
  }
  // Best effort: a host without IPv4 refuses it, and serves IPv6 only.
  if (address.family() == AF_INET6) set_option(fd->get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (::bind(fd->get(), address.get(), address.size_bytes()) != 0) {
    return fail_errno(errno, "Cannot listen on {}", what);
  }
  return fd;
}

// Options of both ends of every TCP connection. An accepted socket inherits the listener's.
void set_tcp_options(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, kKeepIdleSec);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, kKeepIdleSec);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, kKeepProbes);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kUnackedMaxMs);
}

Result<void> bind_source(int fd, const SocketAddress& source) {
  if (source.family() == AF_UNSPEC) return {};
  // An address that no interface carries (a local route suffices), and a port chosen when the destination is known:
  // the same one may then serve many destinations and sources. Where the kernel knows neither, bind() tells.
  if (source.family() == AF_INET6) {
    set_option(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
  } else {
    set_option(fd, IPPROTO_IP, IP_FREEBIND, 1);
  }
  if (source.port() == 0) set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  if (source.port() != 0) set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (::bind(fd, source.get(), source.size_bytes()) == 0) return {};
  return fail_errno(errno, "Cannot use source address {}", source.host_text());
}

}  // namespace

Result<UniqueFd> open_listener(const SocketAddress& address) {
  auto fd = open_bound(address, Transport::tcp);
  if (!fd) return fd;
  set_tcp_options(fd->get());
  if (::listen(fd->get(), kBacklogMax) != 0) {
    return fail_errno(errno, "Cannot listen on {}", describe(Transport::tcp, address));
  }
  return fd;
}

Result<UniqueFd> open_datagram_server(const SocketAddress& address) {
  auto fd = open_bound(address, Transport::udp);
  if (!fd) return fd;
  set_option(fd->get(), SOL_SOCKET, SO_RCVBUF, kDatagramBufferBytes);
  const bool told = address.family() == AF_INET6 ? set_option(fd->get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
                                                 : set_option(fd->get(), IPPROTO_IP, IP_PKTINFO, 1);
  if (!told) return fail_errno(errno, "PKTINFO for {}", describe(Transport::udp, address));
  return fd;
}

std::string describe(Transport transport, const SocketAddress& remote) {
  return fmt::format("{} {}", transport == Transport::tcp ? "tcp" : "udp", remote.text());
}

Result<UniqueFd> start_connect(Transport transport, const SocketAddress& source, const SocketAddress& remote) {
  const std::string what = describe(transport, remote);
  auto fd = open_socket(remote.family(), transport == Transport::tcp ? SOCK_STREAM : SOCK_DGRAM, what);
  if (!fd) return fd;
  if (transport == Transport::tcp) set_tcp_options(fd->get());
  if (auto bound = bind_source(fd->get(), source); !bound) return bound.error();
  if (::connect(fd->get(), remote.get(), remote.size_bytes()) != 0 && errno != EINPROGRESS) {
    const int cause = errno;
    // What the kernel says of a source that is not this host's.
    if ((cause == EINVAL || cause == ENETUNREACH) && source.family() != AF_UNSPEC) {
      return fail_errno(cause, "connect {} from a chosen source address, which needs a local route", what);
    }
    return fail_errno(cause, "connect {}", what);
  }
  return fd;
}

int connect_error(int fd) {
  int error = 0;
  socklen_t size = sizeof(error);
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

uint32_t total_retransmits(int fd) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  return ::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_total_retrans : 0;
}

}  // namespace xdplb::tools
