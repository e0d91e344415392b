// WorkerSlots: what workers have that outlives a plane, by their number: counters, epochs and flows. Belongs to the
// daemon, which makes it before the first plane; the control thread alone lets it grow.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "user/ctl/flow_store.h"
#include "user/path/capture_tap.h"
#include "user/path/worker.h"

namespace xdplb {

struct WorkerSlots {
  explicit WorkerSlots(std::unique_ptr<FlowStore> store, uint64_t secret)
      : flows(std::move(store)), fragments(fragment_buckets(kDefaultFragmentDatagrams)), fragment_secret(secret) {}

  Result<void> grow_to(size_t workers);
  // For worker `w` of `workers`.
  [[nodiscard]] SteeringParts steering(size_t w, size_t workers);
  [[nodiscard]] std::vector<WorkerEpoch*> epoch_list() const;

  std::unique_ptr<FlowStore> flows;
  std::vector<FragmentBucket> fragments;  // shared by all workers
  uint64_t fragment_secret;
  std::atomic<TierMask> live_peers{0};  // shared by all workers, written by the control thread
  struct Holder {
    std::string name;  // of the worker, by its queues
    uint32_t cpu = 0;
  };
  std::vector<Holder> holders;  // who has each slot, or had it last
  std::vector<std::unique_ptr<WorkerCounters>> counters;
  std::vector<std::unique_ptr<WorkerEpoch>> epochs;
  std::vector<std::unique_ptr<CaptureTap>> taps;
  std::vector<std::unique_ptr<FlushBox>> flush;  // for each table of `flows`
};

}  // namespace xdplb
