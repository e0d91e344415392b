// Counters of one worker: written by it alone, read by the control thread at any time. No lock prefix: a relaxed load
// and store, since there is one writer. They outlive the worker (a data plane that is set up again goes on counting).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "user/base/limits.h"
#include "user/base/lines.h"
#include "user/base/reason.h"

namespace xdplb {

class Counter {
 public:
  void add(uint64_t n) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  void set(uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  [[nodiscard]] uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

struct TrafficCounter {
  Counter packets;
  Counter bytes;
};

// Aligned so that no two workers share a line.
struct alignas(128) WorkerCounters {
  Counter rx;
  Counter tx;
  Counter held;
  Counter to_peers;                         // of tx: fragments handed to the balancers that own them
  Counter from_peers;                       // of rx: fragments that they handed to us
  std::array<Counter, kReasonCount> drops;  // by Reason
  Counter batches;
  Counter tx_live;       // of tx: as live frames
  Counter live_batches;  // calls that sent them
  Counter wakeups;
  Counter busy_ns;
  Counter frames_free;
  Counter frames_total;
  // By id: what was sent to a target, and for a service; a page each is touched only where ids are in use.
  LineVector<TrafficCounter> targets{kMaxTargets};
  LineVector<TrafficCounter> services{kMaxServices};
  LineVector<Counter> service_drops{kMaxServices};

  void drop(Reason reason, uint64_t n = 1) { drops[static_cast<size_t>(reason)].add(n); }
  [[nodiscard]] uint64_t dropped() const {
    uint64_t sum = 0;
    for (const Counter& drop : drops) sum += drop.get();
    return sum;
  }
};

}  // namespace xdplb
