// TierSocket: carries the hellos of a tier (user/lb/tier_watch.h), frames of their own EtherType between the ingress
// devices. A packet socket: it sees what the XDP program passes, which is everything that is not IP. Control thread.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "user/base/result.h"
#include "user/base/unique_fd.h"
#include "user/net/mac.h"

namespace xdplb {

class TierSocket {
 public:
  // Needs CAP_NET_RAW.
  static Result<TierSocket> open();

  [[nodiscard]] int fd() const { return fd_.get(); }

  // To that address, out of that device, from its own address. What cannot be sent now is lost, as on any wire.
  void send(uint32_t ifindex, const MacAddr& to, std::span<const uint8_t> payload) const;

  // Everything that waits: the device that it came to, who sent it, and the payload.
  void receive(const std::function<void(uint32_t, const MacAddr&, std::span<const uint8_t>)>& frame) const;

 private:
  explicit TierSocket(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace xdplb
