#include "tools/common/source_pool.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>

namespace xdplb::tools {
namespace {

// What belongs to the network in byte `i` of an address.
uint8_t network_mask(size_t i, unsigned prefix_bits) {
  const size_t first_bit = i * 8;
  if (prefix_bits >= first_bit + 8) return 0xff;
  if (prefix_bits <= first_bit) return 0;
  return static_cast<uint8_t>(0xff00u >> (prefix_bits - first_bit));
}

SocketAddress to_socket_address(const std::vector<uint8_t>& bytes) {
  if (bytes.size() == 4) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    std::memcpy(&v4.sin_addr, bytes.data(), 4);
    return {reinterpret_cast<const sockaddr*>(&v4), sizeof(v4)};
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  std::memcpy(&v6.sin6_addr, bytes.data(), 16);
  return {reinterpret_cast<const sockaddr*>(&v6), sizeof(v6)};
}

std::string_view trim(std::string_view line) {
  constexpr std::string_view kSpace = " \t\r";
  const size_t first = line.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(kSpace) - first + 1);
}

}  // namespace

Result<SourceCidr> SourceCidr::parse(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return fail("\"{}\" lacks a prefix length such as /16", text);
  const std::string address(text.substr(0, slash));
  Bytes bytes(16);
  if (::inet_pton(AF_INET, address.c_str(), bytes.data()) == 1) {
    bytes.resize(4);
  } else if (::inet_pton(AF_INET6, address.c_str(), bytes.data()) != 1) {
    return fail("\"{}\": \"{}\" is not an address", text, address);
  }
  const std::string_view digits = text.substr(slash + 1);
  unsigned prefix_bits = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix_bits);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() ||
      prefix_bits > bytes.size() * 8) {
    return fail("\"{}\": prefix length \"{}\" is not from 0 to {}", text, digits, bytes.size() * 8);
  }
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] &= network_mask(i, prefix_bits);
  return SourceCidr(std::move(bytes), prefix_bits);
}

SocketAddress SourceCidr::pick(std::mt19937_64& random) const {
  const bool is_ipv4 = family() == AF_INET;
  const size_t host_bits = network_.size() * 8 - prefix_bits_;
  Bytes bytes = network_;
  while (true) {
    bool all_zero = true;
    bool all_one = true;
    for (size_t i = 0; i < bytes.size(); ++i) {
      const auto host_mask = static_cast<uint8_t>(~network_mask(i, prefix_bits_));
      const auto host = static_cast<uint8_t>(random() & host_mask);
      bytes[i] = static_cast<uint8_t>(network_[i] | host);
      all_zero = all_zero && host == 0;
      all_one = all_one && host == host_mask;
    }
    // Networks of one or two addresses consist of hosts only (RFC 3021, RFC 6164).
    if (host_bits < 2 || (!all_zero && !(is_ipv4 && all_one))) return to_socket_address(bytes);
  }
}

Result<SourcePool> SourcePool::read_file(const std::string& path) {
  errno = 0;
  std::ifstream file(path);
  if (!file) return fail_errno(errno, "Cannot open source file {}", path);
  SourcePool pool;
  pool.list_.emplace();
  std::string line;
  for (size_t number = 1; std::getline(file, line); ++number) {
    const std::string_view text = trim(line);
    if (text.empty() || text.front() == '#') continue;
    auto address = parse_source(text);
    if (!address) return fail("{}:{}: {}", path, number, address.error().message);
    pool.list_->push_back(*address);
  }
  if (file.bad()) return fail_errno(errno, "Cannot read source file {}", path);
  return pool;
}

std::optional<SocketAddress> SourcePool::next() {
  if (cidr_) return cidr_->pick(random_);
  if (!list_) return SocketAddress();
  if (used_ == list_->size()) return std::nullopt;
  return (*list_)[used_++];
}

int SourcePool::family() const {
  if (cidr_) return cidr_->family();
  return list_ && !list_->empty() ? list_->front().family() : AF_UNSPEC;
}

Result<std::vector<SocketAddress>> resolve_for(const SourcePool& sources, std::string_view text) {
  auto remotes = resolve(text, Purpose::connect);
  const int family = sources.family();
  if (!remotes || family == AF_UNSPEC) return remotes;
  std::erase_if(*remotes, [family](const SocketAddress& remote) { return remote.family() != family; });
  if (!remotes->empty()) return remotes;
  return fail("Address [{}] has no {} address, but the source addresses are of that family", text,
              family == AF_INET ? "IPv4" : "IPv6");
}

uint64_t seed_or_random(uint64_t seed) {
  if (seed != 0) return seed;
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

}  // namespace xdplb::tools
