// What the daemon knows of itself, for those who watch over it, and where they can ask.
#include "user/base/clock.h"
#include "user/base/log.h"
#include "user/path/daemon.h"

namespace xdplb {

Result<void> Daemon::supervise() {
  auto notifier = Notifier::from_environment();
  if (!notifier) log_warning("{}", notifier.error().message);
  supervision_.emplace(*loop_, notifier ? std::move(*notifier) : Notifier(), options_.grace_ns,
                       [this] { return readiness_facts(); });
  if (control_ != nullptr) serve_ready_verb(*control_, [this] { return supervision_->readiness(); });
  if (!options_.metrics) return {};
  auto metrics = serve_metrics(*loop_, *options_.metrics, {published_, adoption_, *supervision_});
  if (!metrics) return metrics.error();
  metrics_ = std::move(*metrics);
  return {};
}

ReadinessFacts Daemon::readiness_facts() const {
  ReadinessFacts facts;
  facts.now_ns = monotonic_ns();
  if (plane_ != nullptr) {
    facts.workers = plane_->worker_signs();
  } else {
    facts.plane_lost_because = plane_error_.empty() ? plane_lost_ : plane_error_;
  }
  facts.hung_after_ns = hung_after_ns(options_.heartbeat_ms);
  facts.services = needs_of(config_, snapshots_->current());
  facts.generation = snapshots_->current().generation;
  return facts;
}

}  // namespace xdplb
