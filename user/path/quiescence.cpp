#include "user/path/quiescence.h"

#include <algorithm>

namespace xdplb {

const Snapshot* SnapshotPublisher::announce(WorkerEpoch& epoch) const {
  // Both sides of this (Dekker's) race are sequentially consistent: either collect() sees kChoosing and frees
  // nothing, or it came before, and then we see the pointer that was published before it.
  epoch.version.store(WorkerEpoch::kChoosing, std::memory_order_seq_cst);
  const Snapshot* snapshot = published_.load(std::memory_order_seq_cst);
  epoch.version.store(snapshot->version, std::memory_order_release);  // pairs with collect()
  return snapshot;
}

void SnapshotPublisher::publish(std::unique_ptr<const Snapshot> next) {
  XDPLB_CHECK(next->version > current_->version);
  retired_.push_back(std::move(current_));
  current_ = std::move(next);
  published_.store(current_.get(), std::memory_order_seq_cst);
}

bool SnapshotPublisher::collect(std::span<WorkerEpoch* const> workers) {
  // A worker that sleeps reports kAsleep, which is above every version.
  uint64_t oldest = WorkerEpoch::kAsleep;
  for (const WorkerEpoch* worker : workers) {
    oldest = std::min(oldest, worker->version.load(std::memory_order_seq_cst));
  }
  std::erase_if(retired_, [oldest](const auto& snapshot) { return snapshot->version < oldest; });
  return oldest >= current_->version;
}

}  // namespace xdplb
