// Supervision: what those who watch over the daemon are told (systemd through sd_notify; a router or keepalived
// through `xdplb ready`), and how the daemon goes when it is told to.
//
// Control thread only. What it tells it asks the daemon each time; it remembers that we are going, and what was said
// last.
#pragma once

#include <functional>
#include <string>

#include "user/ctl/event_loop.h"
#include "user/ctl/notify.h"
#include "user/path/readiness.h"

namespace xdplb {

class Supervision {
 public:
  // `loop` is stopped when it is time to end. `look` tells the daemon's state now, save whether it is going.
  Supervision(EventLoop& loop, Notifier notifier, uint64_t grace_ns, std::function<ReadinessFacts()> look)
      : loop_(loop), notifier_(std::move(notifier)), grace_ns_(grace_ns), look_(std::move(look)) {}
  Supervision(const Supervision&) = delete;
  Supervision& operator=(const Supervision&) = delete;

  [[nodiscard]] Readiness readiness() const { return judge(facts()); }
  [[nodiscard]] ReadinessFacts facts() const;

  // It forwards.
  void began();
  // Twice a second: says what changed, and to the watchdog that control and workers live. A worker that hangs leaves
  // the watchdog to bite.
  void watch();
  void reloading() const;
  void reloaded() const { notifier_.ready(); }

  // Somebody wants the end, by SIGTERM or SIGINT. The first time it forwards for the grace period yet, if there is
  // one, and is not ready; so that a router has time to look elsewhere.
  void stop(const char* signal);

 private:
  EventLoop& loop_;
  Notifier notifier_;
  uint64_t grace_ns_;
  std::function<ReadinessFacts()> look_;
  std::string going_because_;  // empty: it stays
  std::string status_;         // as said last
  uint64_t next_watchdog_ns_ = 0;
};

}  // namespace xdplb
