// EventLoop: what the control thread sleeps in. File descriptors that become readable or writable, periodic timers
// (timerfd) and signals (signalfd), each with a callback.
//
// Two back ends that behave alike: io_uring, and epoll where io_uring is forbidden (seccomp, sysctl
// kernel.io_uring_disabled, too little locked memory). Both are level-triggered: a callback that leaves data behind
// is called again. A turn of the loop handles each descriptor at most once, so none starves another.
//
// One thread only. Callbacks may add and remove watches, their own included. Remove a watch before closing its
// descriptor.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "user/base/result.h"
#include "user/base/unique_fd.h"

namespace xdplb {

enum class LoopBackend : uint8_t { automatic, io_uring, epoll };

// "auto", "io_uring", "epoll"
Result<LoopBackend> parse_loop_backend(std::string_view text);

enum class Interest : uint8_t { readable, writable };

// Waits for descriptors to become ready: the part that differs between back ends.
class Poller {
 public:
  virtual ~Poller() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  // `token` is never used twice.
  virtual Result<void> add(int fd, uint64_t token, Interest interest) = 0;
  virtual void remove(int fd, uint64_t token) = 0;
  // The token of a watch that fired is armed again by this.
  virtual void rearm(int fd, uint64_t token, Interest interest) = 0;
  // Appends the tokens that are ready. Returns at once where some are, else after timeout_ms (-1: never).
  virtual Result<void> wait(int timeout_ms, std::vector<uint64_t>& ready) = 0;
};

using WatchId = uint64_t;

class EventLoop {
 public:
  // `automatic` tries io_uring first; fallback_reason() says why it was not taken.
  static Result<std::unique_ptr<EventLoop>> create(LoopBackend backend = LoopBackend::automatic);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  [[nodiscard]] std::string_view name() const { return poller_->name(); }  // "io_uring" or "epoll"
  [[nodiscard]] const std::string& fallback_reason() const { return fallback_reason_; }

  // The descriptor stays the caller's. One watch at a time for each.
  Result<WatchId> watch_fd(int fd, std::function<void()> readable);
  Result<WatchId> watch_writable(int fd, std::function<void()> writable);
  // Expirations that were missed count as one.
  Result<WatchId> every(uint64_t period_ns, std::function<void()> tick);
  // Blocks the signals in the calling thread (threads started later inherit that).
  Result<WatchId> on_signals(std::initializer_list<int> signals, std::function<void(int signal)> handler);
  void remove(WatchId id);

  // Serves until stop().
  Result<void> run();
  // One turn: waits up to timeout_ms (-1: for ever) and calls what is ready. Returns how many callbacks ran.
  Result<uint32_t> run_once(int timeout_ms);
  void stop() { stopping_ = true; }

 private:
  struct Watch {
    int fd = -1;
    Interest interest = Interest::readable;
    UniqueFd owned;  // timerfd or signalfd
    std::function<void()> ready;
  };

  EventLoop(std::unique_ptr<Poller> poller, std::string fallback_reason);
  Result<WatchId> add(int fd, Interest interest, UniqueFd owned, std::function<void()> ready);

  std::unique_ptr<Poller> poller_;
  std::string fallback_reason_;
  std::map<WatchId, std::shared_ptr<Watch>> watches_;
  std::vector<uint64_t> ready_;
  WatchId next_id_ = 1;
  bool stopping_ = false;
};

// A descriptor that is read, and a timer beside it. Declare it after what owns the descriptor.
class FdAndTimer {
 public:
  explicit FdAndTimer(EventLoop& loop) : loop_(loop) {}
  ~FdAndTimer() { close(); }
  FdAndTimer(const FdAndTimer&) = delete;
  FdAndTimer& operator=(const FdAndTimer&) = delete;

  // Neither is watched where this fails. Not while it is open.
  Result<void> open(int fd, std::function<void()> readable, uint64_t period_ns, std::function<void()> tick);
  void close();

 private:
  EventLoop& loop_;
  WatchId readable_ = 0;
  WatchId timer_ = 0;
};

Result<std::unique_ptr<Poller>> make_io_uring_poller();
Result<std::unique_ptr<Poller>> make_epoll_poller();

}  // namespace xdplb
