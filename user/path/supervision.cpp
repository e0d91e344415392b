#include "user/path/supervision.h"

#include "user/base/clock.h"
#include "user/base/duration.h"
#include "user/base/log.h"

namespace xdplb {
namespace {

constexpr uint64_t kEndNs = 10 * kNsPerSec;  // what the end itself takes at most: draining, the kernel's frames

std::string status_of(const Readiness& readiness) {
  if (readiness.is_ready()) return fmt::format("ready, generation {}", readiness.generation);
  const size_t more = readiness.reasons.size() - 1;
  return fmt::format("not ready: {}{}", readiness.reasons[0], more == 0 ? "" : fmt::format(" (and {} more)", more));
}

}  // namespace

ReadinessFacts Supervision::facts() const {
  ReadinessFacts facts = look_();
  facts.going_because = going_because_;
  return facts;
}

void Supervision::began() {
  notifier_.ready();
  watch();
}

void Supervision::watch() {
  if (!notifier_.is_on()) return;
  const ReadinessFacts now = facts();
  if (std::string status = status_of(judge(now)); status != status_) {
    notifier_.status(status);
    status_ = std::move(status);
  }
  // Asked for often and said at half the time, so that one turn that comes late is no death.
  if (notifier_.watchdog_ns() == 0 || now.now_ns < next_watchdog_ns_ || !all_progress(now)) return;
  notifier_.watchdog();
  next_watchdog_ns_ = now.now_ns + notifier_.watchdog_ns() / 2;
}

void Supervision::reloading() const {
  notifier_.reloading(monotonic_ns());
}

void Supervision::stop(const char* signal) {
  if (grace_ns_ == 0 || !going_because_.empty()) {
    log_info("stopping on {}", signal);
    if (going_because_.empty()) notifier_.stopping(kEndNs);
    return loop_.stop();
  }
  going_because_ = fmt::format("it was told to stop by {}", signal);
  notifier_.stopping(grace_ns_ + kEndNs);
  log_info("going on {}: not ready from here on, forwarding for {} yet; a second signal ends at once", signal,
           duration_text(grace_ns_));
  const auto timer = loop_.every(grace_ns_, [this] {
    log_info("stopping: the grace period is over");
    loop_.stop();
  });
  if (!timer) {
    log_warning("{}: no grace period", timer.error().message);
    loop_.stop();
  }
  watch();
}

}  // namespace xdplb
