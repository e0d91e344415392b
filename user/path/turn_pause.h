// TurnPause: for how long a worker leaves its rings alone after a turn that found packets, however it waits
// otherwise.
//
// Whoever looks at a ring takes its cache lines, and those of the frames in it, from the core that fills it. Where
// packets come so fast that this core is the limit, a worker that follows it closely costs more than it gains: a busy
// queue is left alone until its lines have left the other core's caches (user/path/README.md has figures). One
// thread's.
#pragma once

#include <algorithm>
#include <cstdint>

#include "user/base/limits.h"

namespace xdplb {

class TurnPause {
 public:
  // A worker is busy that works more than half of its time, in turns of so many packets, so many in a row: no backlog
  // of a moment makes those.
  static constexpr uint32_t kBusyPackets = kMaxBatch / 4 * 3;
  static constexpr uint32_t kBusyTurns = 16;
  // Asleep and not spinning. 10 Mpps fill half of the ring meanwhile; longer gains nothing.
  static constexpr uint64_t kBusyPauseNsPerEntry = 50;
  static constexpr uint64_t kBusyPauseMaxNs = 200'000;

  // `coalesce_us`: after every turn, so that the next one finds more. 0: only where the worker is busy. `rx_entries`:
  // of its smallest RX ring.
  TurnPause(uint32_t coalesce_us, uint32_t rx_entries)
      : coalesce_ns_(uint64_t{coalesce_us} * 1000),
        busy_pause_ns_(std::min(rx_entries * kBusyPauseNsPerEntry, kBusyPauseMaxNs)) {}

  // A turn that found packets, from start_ns to end_ns.
  struct Turn {
    uint32_t packets;
    bool has_more;  // packets were left behind
    uint64_t start_ns;
    uint64_t end_ns;
  };
  // ns, 0 for none.
  uint64_t after(const Turn& turn) {
    const bool busy = turn.packets >= kBusyPackets && 2 * (turn.end_ns - turn.start_ns) > turn.end_ns - last_end_ns_;
    last_end_ns_ = turn.end_ns;
    busy_turns_ = busy ? busy_turns_ + 1 : 0;
    if (turn.has_more) return 0;
    if (coalesce_ns_ != 0) return coalesce_ns_;
    return busy_turns_ >= kBusyTurns ? busy_pause_ns_ : 0;
  }

 private:
  uint64_t coalesce_ns_;
  uint64_t busy_pause_ns_;
  uint64_t last_end_ns_ = 0;
  uint32_t busy_turns_ = 0;  // in a row
};

}  // namespace xdplb
