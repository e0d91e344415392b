// SourcePool: the local addresses that connections leave from: a random one of a prefix each time (-srccidr), or the
// lines of a file one after the other (-srcfile). Owned by the client, used by its one thread.
//
// The host needs a local route for the prefix (ip route add local 50.0.0.0/16 dev lo).
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tools/common/address.h"
#include "user/base/result.h"

namespace xdplb::tools {

class SourceCidr {
 public:
  // "50.0.0.0/16", "2000::/112"; bits beyond the prefix are ignored.
  static Result<SourceCidr> parse(std::string_view text);

  [[nodiscard]] int family() const { return network_.size() == 4 ? AF_INET : AF_INET6; }

  // A random address of the prefix, port 0. Not the first and last of an IPv4 network nor the first of an IPv6 one:
  // those are the network's, broadcast and anycast, and no host sends from them.
  [[nodiscard]] SocketAddress pick(std::mt19937_64& random) const;

 private:
  using Bytes = std::vector<uint8_t>;
  SourceCidr(Bytes network, unsigned prefix_bits) : network_(std::move(network)), prefix_bits_(prefix_bits) {}

  Bytes network_;  // 4 or 16 bytes
  unsigned prefix_bits_;
};

class SourcePool {
 public:
  // Without addresses: the kernel chooses, and next() says so by an empty address.
  SourcePool() = default;
  SourcePool(SourceCidr cidr, uint64_t seed) : cidr_(std::move(cidr)), random_(seed) {}

  // One address a line, with or without port; empty lines and those that begin with '#' are skipped.
  static Result<SourcePool> read_file(const std::string& path);

  // Of the addresses, AF_UNSPEC where the kernel chooses them. A file's first speaks for all.
  [[nodiscard]] int family() const;

  // Nothing once a file's addresses are used up.
  [[nodiscard]] std::optional<SocketAddress> next();

 private:
  std::optional<SourceCidr> cidr_;
  std::mt19937_64 random_;
  std::optional<std::vector<SocketAddress>> list_;
  size_t used_ = 0;
};

// Every address of "HOST:PORT" that can be reached from `sources`, never empty.
Result<std::vector<SocketAddress>> resolve_for(const SourcePool& sources, std::string_view text);

// `seed`, or where it is 0 one that differs from run to run.
uint64_t seed_or_random(uint64_t seed);

}  // namespace xdplb::tools
