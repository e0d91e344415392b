// What goes wrong when a socket is opened, in words that an operator can act on. Pure functions of an errno and of
// what was asked for, so that the texts are tested without provoking the kernel.
#pragma once

#include <cstdint>
#include <string>

#include "user/base/result.h"

namespace xdplb {

struct XskPlace {
  std::string ifname;
  uint32_t queue = 0;
};

// socket(), registering the memory, making the rings of the UMEM.
[[nodiscard]] Error umem_error(int sys_errno, const XskPlace& place, uint64_t area_bytes,
                               uint64_t memlock_limit_bytes);

struct DeviceQueues {
  uint32_t rx = 0;
  uint32_t tx = 0;
};

// Making the RX and TX rings, and bind(). `queues`: zeros where the device does not tell.
struct BindAttempt {
  bool zero_copy_forced = false;
  uint64_t waited_ns = 0;  // for a busy queue
  DeviceQueues queues{};
};
// Why a bind for zero copy failed, where copy mode is taken instead.
[[nodiscard]] std::string zero_copy_refusal(int sys_errno);

[[nodiscard]] Error bind_error(int sys_errno, const XskPlace& place, const BindAttempt& attempt);

}  // namespace xdplb
