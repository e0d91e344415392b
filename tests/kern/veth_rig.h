// A network namespace of the test's own with veth pairs in it, and what is needed to see packets cross them: a
// program that redirects all that arrives to an XSKMAP, and packet sockets at the other ends. Needs root, `ip`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "user/base/unique_fd.h"

namespace xdplb::testing {

// Moves this thread into a new network namespace, and back at the end; the namespace and all in it are gone then.
class OwnNetns {
 public:
  OwnNetns();
  OwnNetns(const OwnNetns&) = delete;
  OwnNetns& operator=(const OwnNetns&) = delete;
  ~OwnNetns();

 private:
  UniqueFd before_;
};

// Runs a command; a failure fails the test and names it.
void run(const std::string& command);

// A veth pair, both ends up: `name` and `name`-peer. IPv6 is silenced, so that only the test's packets are seen.
void add_veth(const std::string& name, uint32_t queues = 1);

// The smallest redirect program there is, natively attached to `ifname` as long as this lives.
class RedirectAll {
 public:
  explicit RedirectAll(const std::string& ifname);
  RedirectAll(const RedirectAll&) = delete;
  RedirectAll& operator=(const RedirectAll&) = delete;
  ~RedirectAll();

  void set_socket(uint32_t queue, int socket_fd);

 private:
  uint32_t ifindex_;
  UniqueFd map_;
  UniqueFd program_;
};

// A packet socket on `ifname` for frames of the experimental EtherType only.
class PacketSocket {
 public:
  explicit PacketSocket(const std::string& ifname);

  void send(std::span<const std::byte> frame);
  // Waits up to a second; empty where nothing came.
  [[nodiscard]] std::vector<std::byte> receive();

 private:
  UniqueFd fd_;
};

// A frame of that EtherType whose other bytes tell `number`.
[[nodiscard]] std::vector<std::byte> test_frame(uint32_t number, size_t len_bytes);

}  // namespace xdplb::testing
