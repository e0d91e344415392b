// PortKernel: the two system calls of a port, once per batch, as an interface: a socket implements it, or a test.
#pragma once

#include <cstdint>

namespace xdplb {

// What a wake-up said, by what is to be done about it.
enum class Kick : uint8_t {
  done,       // 0: the kernel took what it could
  again,      // EAGAIN: budget used, completion ring or send buffer full, or device busy
  dropped,    // EBUSY: the stack dropped one packet, consumed and completed; it is never sent again
  no_memory,  // ENOBUFS, ENOMEM
  down,       // ENETDOWN, ENXIO, ENODEV
  failed,     // anything else: not expected
};

// 0 or the errno of sendto() or recvfrom() on an AF_XDP socket.
[[nodiscard]] Kick kick_of_errno(int sys_errno);

class PortKernel {
 public:
  PortKernel() = default;
  PortKernel(const PortKernel&) = delete;
  PortKernel& operator=(const PortKernel&) = delete;
  virtual ~PortKernel() = default;

  [[nodiscard]] virtual Kick kick_tx() = 0;
  [[nodiscard]] virtual Kick kick_rx() = 0;
};

}  // namespace xdplb
