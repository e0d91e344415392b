// How a new Snapshot reaches the workers, and when an old one may be freed.
//
// The control thread publishes one pointer; each worker picks it up between two batches and says which version it
// now uses. A worker about to sleep in poll, or that spins for nothing, says so: it holds no snapshot until its next
// batch, and so counts as having adopted any. No lock, and on the worker's side no read-modify-write: one load and
// one store a turn.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "user/lb/snapshot.h"

namespace xdplb {

// One worker's side. Own cache line; written by the worker, read by the control thread.
struct alignas(64) WorkerEpoch {
  static constexpr uint64_t kAsleep = ~0ull;
  static constexpr uint64_t kChoosing = 0;  // below every version: keeps all of them
  std::atomic<uint64_t> version{kAsleep};   // in use; kAsleep: none
};

// The control thread's side. Not movable: workers hold its address.
class SnapshotPublisher {
 public:
  explicit SnapshotPublisher(std::unique_ptr<const Snapshot> first) : current_(std::move(first)) {
    published_.store(current_.get(), std::memory_order_release);
  }
  SnapshotPublisher(const SnapshotPublisher&) = delete;
  SnapshotPublisher& operator=(const SnapshotPublisher&) = delete;

  // Worker, before each batch: the snapshot to use until its next call. Announces its version.
  const Snapshot* acquire(WorkerEpoch& epoch) const {
    const uint64_t seen = epoch.version.load(std::memory_order_relaxed);
    if (seen != WorkerEpoch::kAsleep) {
      // What we announced protects every snapshot from that version on, so this one may be looked at.
      const Snapshot* snapshot = published_.load(std::memory_order_acquire);  // pairs with publish()
      if (snapshot->version == seen) return snapshot;
    }
    return announce(epoch);
  }
  // Worker, when it has nothing to do: it uses no snapshot until the next acquire().
  static void release(WorkerEpoch& epoch) {
    epoch.version.store(WorkerEpoch::kAsleep, std::memory_order_release);  // pairs with adopted_by_all()
  }

  // Control thread: makes `next` the current one. Its version must be higher than any before.
  void publish(std::unique_ptr<const Snapshot> next);
  // Control thread: true where no worker still uses an older snapshot; frees those that nobody can reach.
  bool collect(std::span<WorkerEpoch* const> workers);
  // Whether older ones wait to be freed.
  [[nodiscard]] bool has_retired() const { return !retired_.empty(); }

  [[nodiscard]] const Snapshot& current() const { return *current_; }

 private:
  const Snapshot* announce(WorkerEpoch& epoch) const;

  std::atomic<const Snapshot*> published_{nullptr};
  std::unique_ptr<const Snapshot> current_;
  std::vector<std::unique_ptr<const Snapshot>> retired_;
};

}  // namespace xdplb
