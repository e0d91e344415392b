// Modulo: entry i goes to backend i mod N, in the order of identities. As even as can be, and nearly everything moves
// when N changes: for comparison, and for those whose flows are all in the flow table when targets change.
//
// Weights repeat a backend in that round: of sum(w) turns it has w, spread as Maglev spreads them (its k-th turn of
// w, from 0, in round ceil(k * w_max / w) of w_max), so that a table shorter than the round is not all the first
// one's.
#pragma once

#include <span>

#include "user/lb/backend.h"

namespace xdplb {

// Fills `table`. No backend with a weight: all kNoBackend.
void build_modulo(std::span<const Backend> backends, std::span<TableIndex> table);

}  // namespace xdplb
