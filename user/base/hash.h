// The one hash of the project: XXH3 (xxHash 0.8), 64 bits, keyed by a seed.
//
// Its output is fixed by the xxHash specification, so the same bytes and seed give the same value on every
// machine: balancers of a cluster agree. It is keyed but not cryptographic; what an attacker must not be able
// to predict (the placement in flow tables) takes a secret seed drawn at random.
#pragma once

#include <cstddef>
#include <cstdint>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace xdplb {

inline uint64_t hash_bytes(const void* data, size_t len_bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(data, len_bytes, seed);
}

// Maps the upper half of a uniformly distributed hash to [0, n) without a division (D. Lemire, "Fast Random Integer
// Generation in an Interval", 2019).
inline uint32_t reduce(uint64_t hash, uint32_t n) {
  return static_cast<uint32_t>(((hash >> 32) * n) >> 32);
}

}  // namespace xdplb
