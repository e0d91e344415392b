// Worker: one thread's share of the packet path: some ingress queues, one egress port, and the memory they move.
//
// turn() is one round: take back what was sent; refill, receive, decide, rewrite and transmit, a batch at a time;
// send what was staged, kick. It never waits and never allocates. Everything that it is made of is handed in, the
// clock included, so that a test runs turns over plain memory (tests/support/fake_port.h). Owned by one thread from
// the first turn to the last; other threads read its WorkerCounters and WorkerEpoch, and nothing else.
//
// Invariant, between turns: counters.rx == tx + sum(drops) + held.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "umem/port.h"
#include "user/lb/held_fragments.h"
#include "user/path/bpf_maps.h"
#include "user/path/counters.h"
#include "user/path/quiescence.h"
#include "user/path/tier_stages.h"

namespace xdplb {

// Somebody who looks on: told what became of each packet, by its frame, before the frame is used again. On the
// worker's thread, within the turn. `xdplb replay` tells packets from each other by it, `xdplb capture` copies them.
class WorkerObserver {
 public:
  explicit WorkerObserver(bool is_looking = true) : looking_(is_looking) {}
  virtual ~WorkerObserver() = default;
  // All that a batch costs while nobody looks. relaxed: it stands for itself; what is looked with is handed over
  // apart.
  [[nodiscard]] bool is_looking() const { return looking_.load(std::memory_order_relaxed); }

  // What becomes of each packet of the batch is decided; nothing is rewritten yet, and it may still not be sent.
  virtual void on_decided(const Batch& /*batch*/, uint64_t /*now_ns*/) {}
  // A batch has been through all stages; `Fate::hold`: its end comes later, as a batch or as a drop.
  virtual void on_batch(const Batch& batch) = 0;
  // A held packet was given up.
  virtual void on_held_drop(const FrameRef& frame, std::span<const uint8_t> bytes, Reason why) = 0;

 protected:
  void look(bool yes) { looking_.store(yes, std::memory_order_relaxed); }

 private:
  std::atomic<bool> looking_;
};

struct WorkerIngress {
  Port* port = nullptr;
  Heartbeat heartbeat;
  // By which fragments leave for other balancers: the same port, or another of its device. Null: they stay.
  Port* to_peers = nullptr;
};

struct WorkerParts {
  std::vector<WorkerIngress> ingress;
  Port* egress = nullptr;        // may be the ingress port itself (one-arm)
  LiveTransmit* live = nullptr;  // the second way out; may be null
  FramePool* pool = nullptr;
  FrameArea area;
  EgressRules rules;
  uint32_t turn_max = kMaxBatch;  // packets of a queue in a turn, at most kMaxTurn
  SteeringParts steering;
  HeldLimits held;
  const SnapshotPublisher* snapshots = nullptr;
  WorkerCounters* counters = nullptr;
  WorkerEpoch* epoch = nullptr;
  // Which balancers of the tier live, as the control thread has found; relaxed, since it stands for itself. Null:
  // all.
  const std::atomic<TierMask>* live_peers = nullptr;
  WorkerObserver* observer = nullptr;  // may be null
};

class alignas(kLineBytes) Worker {
 public:
  explicit Worker(WorkerParts parts);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // One round. Returns how many packets were received.
  uint32_t turn(uint64_t now_ns);

  // Whether the last turn took as many packets from some queue as it may: there are more.
  [[nodiscard]] bool has_more() const { return has_more_; }

  // For how long the thread may sleep, if no packet comes: until the kernel is to be asked again, or a heartbeat is
  // due.
  [[nodiscard]] uint64_t sleep_max_ns(uint64_t now_ns);
  // Before sleeping, and now and then while spinning for nothing: changes come into force without us then.
  void release_snapshot() { SnapshotPublisher::release(*parts_.epoch); }

  // The worker ends: gives up the fragments that still wait. After the last turn.
  void drop_held();
  // After that: sends what is queued and takes back what was sent, without receiving. True where nothing is
  // left with the kernel. Called until it is, or until patience ends.
  bool drained(uint64_t now_ns);

  // Where patience ended: what the kernel did not take is counted as dropped.
  void give_up();

  [[nodiscard]] const WorkerParts& parts() const { return parts_; }

 private:
  // A port that we send through, and what of its counters has been added to the worker's.
  struct Sender {
    Port* port = nullptr;
    uint64_t seen_tx = 0;
    uint64_t seen_errors = 0;
  };

  // Batches of one queue until it has no more, or its turn is over. Returns how many packets.
  uint32_t serve(const WorkerIngress& ingress, uint64_t now_ns);
  // A batch that was received, from its frames on. `to_peers`: of the port that it was received by.
  void forward(Port* to_peers, uint64_t now_ns);
  void kick(uint64_t now_ns);
  // What has been decided: rewrite, transmit, hold.
  void send(const Snapshot& snapshot, Port* to_peers, uint64_t now_ns);
  [[nodiscard]] WorkerObserver* observer() const {
    return parts_.observer != nullptr && parts_.observer->is_looking() ? parts_.observer : nullptr;
  }
  // Gives up a fragment that was held.
  void drop_held_frame(HeldFrame held, Reason why);
  void hold_fragments(uint64_t now_ns);
  void release_fragments(uint64_t now_ns);
  void sweep_flows(uint64_t now_ns);
  void beat(uint64_t now_ns);
  void publish_port_counters();
  [[nodiscard]] TierMask live_peers() const {
    return parts_.live_peers == nullptr ? kAllLive : parts_.live_peers->load(std::memory_order_relaxed);
  }

  WorkerParts parts_;
  Steering steering_;
  HeldFragments held_;
  Batch batch_;
  bool has_more_ = false;
  uint64_t last_beat_ns_ = 0;
  uint64_t last_sweep_ns_ = 0;
  std::vector<Sender> senders_;  // the egress port, and ingress ports that send to peers
};

// The sweeper goes round a table of a million flows in about 8 seconds, in steps too small to be noticed.
inline constexpr uint64_t kSweepBucketEveryNs = 16'000;
inline constexpr uint64_t kSweepBucketsMax = 1024;       // a turn
inline constexpr uint32_t kFlushFlowsMax = 64;           // a turn; some 10 us
inline constexpr uint64_t kBeatEveryNs = 1'000'000;      // at most so often
inline constexpr uint64_t kSleepMaxNs = 100'000'000;     // at least so often, also when nothing comes
inline constexpr uint64_t kSleepUnsentNs = 1'000'000;    // while something waits to be sent
inline constexpr uint64_t kSleepHoldingNs = 2'000'000;   // while fragments wait: the first may come to another worker
inline constexpr uint64_t kSleepFlushingNs = 2'000'000;  // while a flush goes on: the next list is not far
inline constexpr uint64_t kSleepUncompletedNs = 20'000'000;  // while the kernel has frames of ours

}  // namespace xdplb
