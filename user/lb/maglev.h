// Maglev: the table that says which target takes a new flow (Eisenbud et al., "Maglev: A Fast and Reliable Software
// Network Load Balancer", NSDI 2016, section 3.4).
//
// Turns. In the paper each backend takes one free entry a round. Here a backend of weight w takes its k-th entry
// (k from 0) in round ceil(k * w_max / w): the turns of a light backend are spread evenly between those of the heavy
// ones, instead of the heavy ones taking w entries in a row, which gives all of a small table to the first. Equal
// weights are the paper's algorithm, only the ratios of weights count, every backend's share is right to within
// two entries, and a positive weight gets at least one entry while there are fewer backends than entries.
//
// Sizing: M >= 100 N keeps the spread within about a percent. Cost is about M ln M probes of a bitmap of M bits:
// M 65537, N 1000 takes 1.6 ms (tests/bench/table_bench.cpp).
#pragma once

#include <cstdint>
#include <span>

#include "user/lb/backend.h"

namespace xdplb {

// Fills `table`, whose size is a prime. No backend with a weight: all kNoBackend.
void build_maglev(std::span<const Backend> backends, std::span<TableIndex> table);

// The algorithm below the hashing. The permutation of a backend is (offset + i * skip) mod M, with offset in [0, M)
// and skip in [1, M). Backends take their turns in the order given.
struct MaglevTurns {
  uint32_t offset = 0;
  uint32_t skip = 1;
  uint32_t weight = 1;
  TableIndex index = 0;
};
void populate_maglev(std::span<const MaglevTurns> backends, std::span<TableIndex> table);

// The (offset, skip) of an identity in a table of a given size.
MaglevTurns maglev_turns(const Backend& backend, uint32_t table_size);

[[nodiscard]] bool is_prime(uint32_t n);
// The largest prime that is not above n; 0 where there is none (n < 2).
[[nodiscard]] uint32_t prime_at_most(uint32_t n);

}  // namespace xdplb
