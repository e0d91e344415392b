#include "user/path/readiness.h"

#include <algorithm>

#include "user/base/clock.h"
#include "user/base/duration.h"

namespace xdplb {
namespace {

uint64_t silence_ns(const ReadinessFacts& facts, const WorkerSign& worker) {
  return facts.now_ns - std::min(facts.now_ns, worker.beat_ns);
}

}  // namespace

uint64_t hung_after_ns(uint32_t heartbeat_ms) {
  constexpr uint32_t kDefaultMs = 1000;
  return uint64_t{heartbeat_ms == 0 ? kDefaultMs : heartbeat_ms} * kNsPerMs * 5 / 4;
}

std::vector<ServiceNeed> needs_of(const Config& config, const Snapshot& snapshot) {
  std::vector<ServiceNeed> needs;
  needs.reserve(config.services.size());
  for (const Service& service : config.services) {
    const auto usable = static_cast<uint32_t>(snapshot.services[service.id].usable_targets());
    needs.push_back({service.name, usable, service.need});
  }
  return needs;
}

bool all_progress(const ReadinessFacts& facts) {
  return std::all_of(facts.workers.begin(), facts.workers.end(),
                     [&](const WorkerSign& worker) { return silence_ns(facts, worker) <= facts.hung_after_ns; });
}

Readiness judge(const ReadinessFacts& facts) {
  Readiness readiness;
  readiness.generation = facts.generation;
  readiness.going = !facts.going_because.empty();
  std::vector<std::string>& reasons = readiness.reasons;
  if (readiness.going) reasons.push_back("going: " + facts.going_because);
  if (!facts.plane_lost_because.empty()) reasons.push_back("no data plane: " + facts.plane_lost_because);
  for (const WorkerSign& worker : facts.workers) {
    const uint64_t silence = silence_ns(facts, worker);
    if (silence > facts.hung_after_ns) {
      reasons.push_back(fmt::format("worker {} gave no sign of life for {}", worker.name, duration_text(silence)));
    }
  }
  if (facts.services.empty()) reasons.emplace_back("no service is configured");
  for (const ServiceNeed& service : facts.services) {
    if (service.usable >= service.needed) continue;
    reasons.push_back(fmt::format("service {} has {} of {} usable target{} that it needs", service.name,
                                  service.usable, service.needed, service.needed == 1 ? "" : "s"));
  }
  return readiness;
}

}  // namespace xdplb
