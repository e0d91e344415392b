// Poller: tells which descriptors became ready. One interface, two kernels' means: io_uring where it is allowed (poll
// requests go in with the wait itself, so a turn of the loop costs one system call however many connections it
// touches), epoll where it is not (containers and hardened hosts often forbid io_uring).
//
// Owned and used by one EventLoop on one thread. Every request is one shot: it yields at most one event.
#pragma once

#include <poll.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "user/base/result.h"

namespace xdplb::tools {

struct ReadyEvent {
  uint64_t token;
  uint32_t events;  // POLLIN, POLLOUT, POLLERR, POLLHUP
};

class Poller {
 public:
  virtual ~Poller() = default;

  // Asks for one event of `fd`; `token` comes back with it. At most one request a descriptor is under way.
  virtual void arm(int fd, uint32_t events, uint64_t token) = 0;

  // Takes the request back. Its event may still come; the caller tells by the token. Call it before closing `fd`:
  // io_uring keeps the file open for as long as a request names it.
  virtual void disarm(int fd, uint64_t token) = 0;

  // Waits up to `timeout_ns` (negative: for ever) and appends what became ready to `out`.
  virtual Result<void> wait(std::vector<ReadyEvent>& out, int64_t timeout_ns) = 0;

  [[nodiscard]] virtual const char* name() const = 0;
};

Result<std::unique_ptr<Poller>> make_uring_poller();
Result<std::unique_ptr<Poller>> make_epoll_poller();

// io_uring, or epoll with one line on standard error that says why.
Result<std::unique_ptr<Poller>> make_poller();

}  // namespace xdplb::tools
