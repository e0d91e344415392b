// EventLoop: one thread, one Poller, timers. A Watcher is told when its descriptor is ready or its timer due; it
// registers through a Watch, which it owns and which takes everything back when it goes.
//
// Invariants: a Watch has at most one descriptor armed and at most one timer set; after cancel() or its destruction
// neither call comes any more, even where the event already lay in the batch. Immovable: watches point to it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "tools/common/poller.h"
#include "user/base/result.h"

namespace xdplb::tools {

class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void on_ready(uint32_t events) = 0;
  virtual void on_timer() = 0;
};

class EventLoop {
 public:
  explicit EventLoop(std::unique_ptr<Poller> poller);
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Until stop(), or a failure of the poller.
  Result<void> run();
  void stop() { stopped_ = true; }

  // Read once a turn: cheap, and the same for all that happens in it.
  [[nodiscard]] uint64_t now_ns() const { return now_ns_; }
  [[nodiscard]] const Poller& poller() const { return *poller_; }

  // Destroys `watcher` soon, but after the call that is under way: it may retire itself.
  void retire(std::unique_ptr<Watcher> watcher) { retired_.push_back(std::move(watcher)); }

 private:
  friend class Watch;
  struct Slot {
    Watcher* watcher = nullptr;  // nullptr: free
    int fd = -1;                 // -1: not armed
    uint32_t events = 0;
    uint32_t sequence = 0;     // of the last request: an older one's event is stale
    uint64_t deadline_ns = 0;  // 0: no timer
  };

  uint32_t take_slot(Watcher& watcher);
  void free_slot(uint32_t slot);
  void arm(uint32_t slot, int fd, uint32_t events);
  void disarm(uint32_t slot);
  void set_timer(uint32_t slot, uint64_t deadline_ns);
  void clear_timer(uint32_t slot);
  [[nodiscard]] int64_t timeout_ns() const;
  void dispatch(const ReadyEvent& event);
  void fire_timers();

  std::unique_ptr<Poller> poller_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  std::set<std::pair<uint64_t, uint32_t>> timers_;  // (deadline, slot)
  std::vector<ReadyEvent> ready_;
  std::vector<std::unique_ptr<Watcher>> retired_;
  uint64_t now_ns_;
  bool stopped_ = false;
};

class Watch {
 public:
  Watch(EventLoop& loop, Watcher& watcher) : loop_(loop), slot_(loop.take_slot(watcher)) {}
  ~Watch() { loop_.free_slot(slot_); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // One on_ready() when `fd` shows one of `events`. Replaces an earlier request.
  void wait_for(int fd, uint32_t events) { loop_.arm(slot_, fd, events); }
  // One on_timer() at `deadline_ns` of the monotonic clock. Replaces an earlier deadline.
  void set_timer(uint64_t deadline_ns) { loop_.set_timer(slot_, deadline_ns); }
  void clear_timer() { loop_.clear_timer(slot_); }
  void cancel() {
    loop_.disarm(slot_);
    loop_.clear_timer(slot_);
  }

 private:
  EventLoop& loop_;
  const uint32_t slot_;
};

// A Watcher that is only a timer.
class Timer final : public Watcher {
 public:
  Timer(EventLoop& loop, std::function<void()> on_due) : on_due_(std::move(on_due)), watch_(loop, *this) {}
  void set(uint64_t deadline_ns) { watch_.set_timer(deadline_ns); }
  void clear() { watch_.clear_timer(); }
  void on_ready(uint32_t) override {}
  void on_timer() override { on_due_(); }

 private:
  std::function<void()> on_due_;
  Watch watch_;
};

}  // namespace xdplb::tools
