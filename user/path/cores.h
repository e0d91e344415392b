// Cores: which ones the workers have, and which are left to the control thread.
#pragma once

#include <span>
#include <vector>

#include "user/base/result.h"

namespace xdplb {

// For the workers, in turn: those of `wanted`, each of which must be one that a thread of ours can be pinned to, also
// where the process itself was kept off it (isolcpus). Without any: all that the process was given.
[[nodiscard]] Result<std::vector<int>> worker_cores(std::span<const int> wanted);

// Moves the calling thread to what the process was given besides those of the workers: a worker that spins gives the
// core up only when its slice is over, and a busy one has packets for a few milliseconds at most in its ring. Where
// nothing is left the thread may run everywhere, as at the start.
void keep_off_cores(std::span<const int> workers);

}  // namespace xdplb
