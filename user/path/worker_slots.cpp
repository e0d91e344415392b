#include "user/path/worker_slots.h"

namespace xdplb {

Result<void> WorkerSlots::grow_to(size_t workers) {
  // First, for it may fail: whoever counts a worker looks at its table, too.
  if (auto r = flows->grow_to(workers); !r) return r;
  while (counters.size() < workers) {
    holders.emplace_back();
    counters.push_back(std::make_unique<WorkerCounters>());
    epochs.push_back(std::make_unique<WorkerEpoch>());
    taps.push_back(std::make_unique<CaptureTap>());
  }
  while (flush.size() < flows->size()) flush.push_back(std::make_unique<FlushBox>());
  return {};
}

SteeringParts WorkerSlots::steering(size_t w, size_t workers) {
  SteeringParts parts;
  parts.flows = &flows->table(w);
  const std::vector<FlowReader> readers = flows->readers();
  for (size_t other = 0; other < readers.size(); ++other) {
    if (other != w) parts.others.push_back(readers[other]);
  }
  parts.orphans = readers.size() > workers;
  parts.flush = flush[w].get();
  parts.fragments = fragments;
  parts.fragment_secret = fragment_secret;
  return parts;
}

std::vector<WorkerEpoch*> WorkerSlots::epoch_list() const {
  std::vector<WorkerEpoch*> list;
  for (const auto& epoch : epochs) list.push_back(epoch.get());
  return list;
}

}  // namespace xdplb
