#include "user/lb/rendezvous.h"

#include <algorithm>
#include <bit>

#include "user/base/check.h"
#include "user/base/limits.h"

namespace xdplb {
namespace {

constexpr uint32_t kFractionBits = 40;

__extension__ typedef unsigned __int128 uint128;  // -Wpedantic knows none

// One of the backends at one entry: the lower of two ranks wins.
struct Rank {
  uint64_t cost;  // -log2(u), to be divided by the weight
  uint32_t weight;
  uint64_t hash;

  // By cost / weight; among costs that rounding has made equal, by the hash. Both are below 2^57.
  [[nodiscard]] bool before(const Rank& other) const {
    const uint64_t own = cost * other.weight, others = other.cost * weight;
    return own != others ? own < others : hash > other.hash;
  }
};

// Whether a hash is too low to win, told without its logarithm: -log2(u) >= (1 - u) * log2(e), and winners have u so
// near 1 that this is hardly less. 369 / 256 is below log2(e). An entry takes some ln N logarithms instead of N.
bool surely_loses(uint64_t hash, uint32_t weight, const Rank& best) {
  const uint64_t at_least = (~hash >> (64 - kFractionBits)) * 369 / 256;
  return at_least * best.weight > best.cost * weight;
}

// Among equal weights the highest hash has the highest score.
TableIndex highest_of_equals(const std::vector<Backend>& backends, const std::vector<uint64_t>& mixed,
                             uint64_t entry) {
  size_t winner = 0;
  uint64_t best = mix_bits(mixed[0] ^ entry);
  for (size_t i = 1; i < backends.size(); ++i) {
    const uint64_t hash = mix_bits(mixed[i] ^ entry);
    if (hash > best) {
      best = hash;
      winner = i;
    }
  }
  return backends[winner].index;
}

TableIndex highest(const std::vector<Backend>& backends, const std::vector<uint64_t>& mixed, uint64_t entry) {
  size_t winner = 0;
  Rank best{~uint64_t{0}, 0, 0};
  for (size_t i = 0; i < backends.size(); ++i) {
    const uint64_t hash = mix_bits(mixed[i] ^ entry);
    if (i != 0 && surely_loses(hash, backends[i].weight, best)) continue;
    const Rank rank{negative_log2(hash), backends[i].weight, hash};
    if (i != 0 && !rank.before(best)) continue;
    best = rank;
    winner = i;
  }
  return backends[winner].index;
}

}  // namespace

// Bit by bit: squaring a mantissa in [1, 2) doubles its logarithm, whose next bit says whether the square reached 2.
// Every step is monotone, hence so is the whole, and truncation costs less than the last bit.
uint64_t negative_log2(uint64_t hash) {
  if (hash == ~uint64_t{0}) return 0;
  const uint64_t value = hash + 1;
  const auto shift = static_cast<uint32_t>(std::countl_zero(value));
  uint64_t mantissa = value << shift;  // 1.0 is 2^63
  uint64_t log2 = 63 - shift;
  for (uint32_t bit = 0; bit < kFractionBits; ++bit) {
    const uint128 square = uint128{mantissa} * mantissa;
    const auto two = static_cast<uint32_t>(square >> 127);
    mantissa = static_cast<uint64_t>(square >> (63 + two));
    log2 = log2 << 1 | two;
  }
  return (uint64_t{64} << kFractionBits) - log2;
}

void build_rendezvous(std::span<const Backend> backends, std::span<TableIndex> table) {
  std::fill(table.begin(), table.end(), kNoBackend);
  const std::vector<Backend> sorted = by_identity(backends);
  if (sorted.empty()) return;
  std::vector<uint64_t> mixed;
  mixed.reserve(sorted.size());
  for (const Backend& b : sorted) {
    XDPLB_CHECK(b.weight <= kMaxWeight);
    mixed.push_back(mix_bits(b.identity));
  }
  const bool equals =
      std::all_of(sorted.begin(), sorted.end(), [&](const Backend& b) { return b.weight == sorted.front().weight; });
  const auto choose = equals ? highest_of_equals : highest;
  // Entries count from 1: mixing 0 gives 0.
  for (size_t i = 0; i < table.size(); ++i) table[i] = choose(sorted, mixed, mix_bits(i + 1));
}

}  // namespace xdplb
