// What the tables are built from, whichever algorithm fills them (user/lb/table_builder.h).
//
// A table is a pure function of the backends' identities and weights: neither the order in which they are given, nor
// the index that is written, nor any library's random numbers or floating point have a part in it, so every balancer
// of a cluster builds the same table.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace xdplb {

// The entries of a table: an index given by the caller (a target's id: below kMaxTargets, so 16 bits do), or none.
using TableIndex = uint16_t;
inline constexpr TableIndex kNoBackend = 0xffff;

struct Backend {
  uint64_t identity = 0;  // hash of the target's name under the steering seed; distinct
  uint32_t weight = 1;    // 1..kMaxWeight; 0 takes no part
  TableIndex index = 0;   // what is written to the table
};

// Those that have a weight, in the order in which ties and turns are decided.
std::vector<Backend> by_identity(std::span<const Backend> backends);

// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): every output bit depends on every input bit, and distinct
// numbers stay distinct.
constexpr uint64_t mix_bits(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace xdplb
