#include "tools/common/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace xdplb::tools {
namespace {

struct FreeAddrinfo {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

Result<std::vector<SocketAddress>> lookup(const char* host, const std::string& port, int flags,
                                          std::string_view text) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;  // one entry an address; the port's number is the same for UDP
  hints.ai_flags = flags;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(host, port.c_str(), &hints, &list);
  if (error == EAI_SYSTEM) return fail_errno(errno, "Cannot resolve [{}]", text);
  if (error != 0) return fail("Cannot resolve [{}]: {}", text, ::gai_strerror(error));
  const std::unique_ptr<addrinfo, FreeAddrinfo> owner(list);
  std::vector<SocketAddress> out;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    out.emplace_back(entry->ai_addr, entry->ai_addrlen);
  }
  if (out.empty()) return fail("Cannot resolve [{}]: no address", text);
  return out;
}

}  // namespace

SocketAddress::SocketAddress(const sockaddr* address, socklen_t size_bytes)
    : size_bytes_(size_bytes <= sizeof(storage_) ? size_bytes : 0) {
  std::memcpy(&storage_, address, size_bytes_);
}

uint16_t SocketAddress::port() const {
  // sin_port and sin6_port lie at the same offset; the families that resolve() yields are these two.
  if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port);
  if (family() == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_port);
  return 0;
}

std::string SocketAddress::host_text() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (family() == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&storage_)->sin_addr, text.data(), text.size());
    return text.data();
  }
  if (family() != AF_INET6) return "";
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage_);
  if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
    ::inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], text.data(), text.size());
    return text.data();
  }
  ::inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
  std::string host = text.data();
  std::array<char, IF_NAMESIZE> zone{};
  if (v6->sin6_scope_id != 0) {
    const char* name = ::if_indextoname(v6->sin6_scope_id, zone.data());
    host += '%';
    host += name != nullptr ? std::string(name) : std::to_string(v6->sin6_scope_id);
  }
  return host;
}

std::string SocketAddress::text() const {
  const std::string host = host_text();
  const char* format = host.find(':') == std::string::npos ? "{}:{}" : "[{}]:{}";
  return fmt::format(fmt::runtime(format), host, port());
}

Result<std::pair<std::string, std::string>> split_host_port(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (text.starts_with('[')) {
    const size_t bracket = text.find(']');
    if (bracket == std::string_view::npos) return fail("Address [{}]: missing ']'", text);
    if (colon != bracket + 1) return fail("Address [{}]: missing port", text);
    return std::pair{std::string(text.substr(1, bracket - 1)), std::string(text.substr(colon + 1))};
  }
  if (colon == std::string_view::npos) return fail("Address [{}]: missing port", text);
  if (text.find(':') != colon) return fail("Address [{}]: too many colons; an IPv6 address needs brackets", text);
  return std::pair{std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
}

Result<std::vector<SocketAddress>> resolve(std::string_view text, Purpose purpose) {
  auto parts = split_host_port(text);
  if (!parts) return parts.error();
  const auto& [host, port] = *parts;
  if (port.empty()) return fail("Address [{}]: missing port", text);
  if (!host.empty()) return lookup(host.c_str(), port, 0, text);
  // "[::]" serves IPv4 too (see open_listener), so all addresses are that one.
  if (purpose == Purpose::listen) return lookup("::", port, AI_PASSIVE, text);
  return lookup(nullptr, port, 0, text);
}

Result<SocketAddress> parse_source(std::string_view text) {
  std::string host(text);
  std::string port = "0";
  const bool bracketed = text.starts_with('[');
  if (bracketed && text.ends_with(']')) {
    host = text.substr(1, text.size() - 2);
  } else if (bracketed || std::count(text.begin(), text.end(), ':') == 1) {
    auto parts = split_host_port(text);
    if (!parts) return parts.error();
    host = parts->first;
    port = parts->second;
  }
  auto found = lookup(host.c_str(), port, AI_NUMERICHOST | AI_NUMERICSERV, text);
  if (!found) return found.error();
  return found->front();
}

SocketAddress local_address(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  return ::getsockname(fd, address, &size) == 0 ? SocketAddress(address, size) : SocketAddress();
}

SocketAddress remote_address(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  return ::getpeername(fd, address, &size) == 0 ? SocketAddress(address, size) : SocketAddress();
}

}  // namespace xdplb::tools
