// Sockets as the tools need them: non-blocking, close-on-exec, and every failure named with its address.
#pragma once

#include <cstdint>
#include <string>

#include "tools/common/address.h"
#include "user/base/result.h"
#include "user/base/unique_fd.h"

namespace xdplb::tools {

// A listening TCP socket with the longest backlog that the system grants. [::] accepts IPv4 too.
Result<UniqueFd> open_listener(const SocketAddress& address);

// A UDP socket bound to `address` that reports where each datagram was sent to. [::] receives IPv4 too.
Result<UniqueFd> open_datagram_server(const SocketAddress& address);

enum class Transport { tcp, udp };

// "tcp 10.0.0.0:5001": how messages name a destination.
std::string describe(Transport transport, const SocketAddress& remote);

// Begins to connect to `remote` from `source` (an empty address leaves the choice to the kernel). TCP is connected
// when the socket becomes writable and connect_error() is 0.
Result<UniqueFd> start_connect(Transport transport, const SocketAddress& source, const SocketAddress& remote);

// What became of a connect, as an errno; reading it clears it.
int connect_error(int fd);

// Segments retransmitted over the life of a TCP connection.
uint32_t total_retransmits(int fd);

}  // namespace xdplb::tools
