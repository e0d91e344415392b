// Rendezvous hashing (Thaler and Ravishankar, 1998): each entry goes to the backend that has the highest score there.
//
// A backend's score at an entry is w / -ln(u), where u in (0, 1] is a hash of the two: its chance of being the
// highest is its share of the weights, exactly. As no score depends on other backends, one that goes gives up its own
// entries and moves no other, and one that comes takes only what becomes its own: the least that can move. In return
// the spread is that of dice: with M entries a backend's share is off by about sqrt(N / M), ten times Maglev's.
//
// The logarithm is integer arithmetic, not a C library's: balancers with different libraries, compilers or processors
// must fill their tables alike.
//
// Cost: M * N scores of 1 to 3 ns and, where weights differ, some ln N logarithms of 0.1 us for each entry: M 65537,
// N 1000 takes 60 ms, with random weights 230 (tests/bench/table_bench.cpp). kMaxRendezvousScores bounds the product;
// validate_config checks it.
#pragma once

#include <cstdint>
#include <span>

#include "user/lb/backend.h"

namespace xdplb {

// Entries times targets of one service: half a second.
inline constexpr uint64_t kMaxRendezvousScores = 1u << 28;

// Fills `table`. No backend with a weight: all kNoBackend.
void build_rendezvous(std::span<const Backend> backends, std::span<TableIndex> table);

// -log2((hash + 1) / 2^64), in units of 2^-40: 0 to 64 * 2^40. Never rises as the hash rises.
[[nodiscard]] uint64_t negative_log2(uint64_t hash);

}  // namespace xdplb
