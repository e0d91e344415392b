// TurnPause: for how long a worker leaves its rings alone after a turn that found packets, however it waits
// otherwise.
//
// Whoever looks at a ring takes its cache lines from the core that fills it. Where packets come so fast that this
// core is the limit, a worker that comes back too soon costs more than it gains: a busy queue is left alone for a
// moment. One thread's.
#pragma once

#include <cstdint>

#include "user/base/limits.h"

namespace xdplb {

class TurnPause {
 public:
  // From some 5 Mpps on a turn finds so many; and so many in a row, which no backlog of a moment makes.
  static constexpr uint32_t kBusyPackets = kMaxBatch / 4 * 3;
  static constexpr uint32_t kBusyTurns = 16;
  // Asleep and not spinning: user/path/README.md has the figures.
  static constexpr uint64_t kBusyPauseNs = 50'000;

  // `coalesce_us`: after every turn, so that the next one finds more. 0: only where the queue is busy.
  explicit TurnPause(uint32_t coalesce_us) : coalesce_ns_(uint64_t{coalesce_us} * 1000) {}

  // ns, 0 for none. `has_more`: packets were left behind.
  uint64_t after(uint32_t packets, bool has_more) {
    busy_turns_ = packets >= kBusyPackets ? busy_turns_ + 1 : 0;
    if (has_more) return 0;
    if (coalesce_ns_ != 0) return coalesce_ns_;
    return busy_turns_ >= kBusyTurns ? kBusyPauseNs : 0;
  }

 private:
  uint64_t coalesce_ns_;
  uint32_t busy_turns_ = 0;  // in a row
};

}  // namespace xdplb
