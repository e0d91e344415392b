// The table of a service, filled by the algorithm of its choice. Off the packet path, by whoever compiles a snapshot.
#pragma once

#include <span>

#include "user/lb/backend.h"
#include "user/lb/config.h"

namespace xdplb {

// Fills `table`, whose size is a prime. No backend with a weight: all kNoBackend.
void build_table(Algorithm algorithm, std::span<const Backend> backends, std::span<TableIndex> table);

}  // namespace xdplb
