// Socket addresses as the tools' options and outputs name them: "10.0.0.0:5001", "[1000::]:5001", ":5001".
// Values only; resolving a host name may ask the resolver and therefore blocks: done once, before any traffic.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "user/base/result.h"

namespace xdplb::tools {

class SocketAddress {
 public:
  SocketAddress() = default;
  SocketAddress(const sockaddr* address, socklen_t size_bytes);

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  [[nodiscard]] socklen_t size_bytes() const { return size_bytes_; }
  [[nodiscard]] int family() const { return storage_.ss_family; }
  [[nodiscard]] uint16_t port() const;

  // "1.2.3.4:80", "[::1]:80", "[fe80::1%eth0]:80"; an IPv4-mapped address is written as the IPv4 that it is.
  [[nodiscard]] std::string text() const;
  // The same without the port and without brackets.
  [[nodiscard]] std::string host_text() const;

 private:
  sockaddr_storage storage_{};
  socklen_t size_bytes_ = 0;
};

// "HOST:PORT" taken apart; the brackets of an IPv6 address are removed.
Result<std::pair<std::string, std::string>> split_host_port(std::string_view text);

enum class Purpose { listen, connect };

// Every address that "HOST:PORT" stands for, the resolver's preference first, never empty. Without a host:
// all addresses, IPv6 and IPv4 (listen), or the loopback (connect).
Result<std::vector<SocketAddress>> resolve(std::string_view text, Purpose purpose);

// A local address: "1.2.3.4", "1.2.3.4:7000", "[::1]:7000", "[::1]" or "::1"; port 0 where none is named.
Result<SocketAddress> parse_source(std::string_view text);

// The two ends of a connected socket; an empty address where the kernel does not say.
SocketAddress local_address(int fd);
SocketAddress remote_address(int fd);

}  // namespace xdplb::tools
