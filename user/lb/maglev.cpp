#include "user/lb/maglev.h"

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "user/base/check.h"
#include "user/base/limits.h"

namespace xdplb {
namespace {

constexpr uint32_t kWordBits = 64;

constexpr uint32_t words_for(uint32_t bits) {
  return (bits + kWordBits - 1) / kWordBits;
}

constexpr uint32_t scale(uint64_t half, uint32_t n) {
  return static_cast<uint32_t>((half * n) >> 32);
}

// The state of one backend: where its permutation stands and how many turns it had.
struct Cursor {
  uint32_t next;
  uint32_t skip;
  uint32_t weight;
  uint32_t taken;
};

// Which entries are taken is asked some M ln M times, so it is a bitmap (8 KiB for M = 65537: it stays in the first
// level cache) beside the table, which is written M times.
class Filler {
 public:
  explicit Filler(std::span<TableIndex> table)
      : table_(table), size_(static_cast<uint32_t>(table.size())), taken_(words_for(size_)), left_(size_) {}

  [[nodiscard]] bool full() const { return left_ == 0; }

  // One turn: the first free entry of the backend's permutation. A free one exists, and as the table size is prime
  // the permutation reaches it.
  void take(Cursor& cursor, TableIndex index) {
    uint32_t at = cursor.next;
    while ((taken_[at / kWordBits] >> (at % kWordBits)) & 1) at = advance(at, cursor.skip);
    taken_[at / kWordBits] |= uint64_t{1} << (at % kWordBits);
    table_[at] = index;
    cursor.next = advance(at, cursor.skip);
    --left_;
  }

 private:
  // No division: both terms are below the size, which is below 2^31.
  [[nodiscard]] uint32_t advance(uint32_t at, uint32_t skip) const {
    const uint32_t sum = at + skip;
    return sum >= size_ ? sum - size_ : sum;
  }

  std::span<TableIndex> table_;
  uint32_t size_;
  std::vector<uint64_t> taken_;
  uint32_t left_;
};

void fill_equal(std::vector<Cursor>& cursors, std::span<const MaglevTurns> backends, Filler& filler) {
  for (;;) {
    for (size_t i = 0; i < cursors.size(); ++i) {
      filler.take(cursors[i], backends[i].index);
      if (filler.full()) return;
    }
  }
}

// A calendar: for each of the coming rounds a bitmap of the backends that have a turn in it. A backend's turns are at
// most weight_max rounds apart, so a ring of one round more is enough. Going through all backends in every round
// would cost rounds * N, which for one weight of 1000 among ones is hundreds of times as many visits as turns.
void fill_weighted(std::vector<Cursor>& cursors, std::span<const MaglevTurns> backends, uint32_t weight_max,
                   Filler& filler) {
  const uint32_t words = words_for(static_cast<uint32_t>(cursors.size()));
  const uint32_t rounds = weight_max + 1;
  std::vector<uint64_t> calendar(size_t{words} * rounds);
  for (size_t i = 0; i < cursors.size(); ++i) {
    if (cursors[i].weight != 0) calendar[i / kWordBits] |= uint64_t{1} << (i % kWordBits);
  }
  for (uint64_t round = 0;; ++round) {
    uint64_t* const now = calendar.data() + (round % rounds) * words;
    for (uint32_t w = 0; w < words; ++w) {
      for (uint64_t due = std::exchange(now[w], 0); due != 0; due &= due - 1) {
        const uint32_t i = w * kWordBits + static_cast<uint32_t>(std::countr_zero(due));
        Cursor& cursor = cursors[i];
        filler.take(cursor, backends[i].index);
        if (filler.full()) return;
        const uint64_t turn = ++cursor.taken;
        const uint64_t when = (turn * weight_max + cursor.weight - 1) / cursor.weight;
        calendar[(when % rounds) * words + w] |= uint64_t{1} << (i % kWordBits);
      }
    }
  }
}

}  // namespace

MaglevTurns maglev_turns(const Backend& backend, uint32_t table_size) {
  // Identities are hashes already; this makes the table good for any distinct numbers, and the two halves
  // independent.
  const uint64_t mixed = mix_bits(backend.identity);
  return {.offset = scale(mixed >> 32, table_size),
          .skip = 1 + scale(mixed & 0xffffffffu, table_size - 1),
          .weight = backend.weight,
          .index = backend.index};
}

void populate_maglev(std::span<const MaglevTurns> backends, std::span<TableIndex> table) {
  XDPLB_CHECK(table.size() <= kMaxTableSize && is_prime(static_cast<uint32_t>(table.size())));
  std::fill(table.begin(), table.end(), kNoBackend);
  std::vector<Cursor> cursors;
  cursors.reserve(backends.size());
  uint32_t weight_min = kMaxWeight, weight_max = 0;
  for (const MaglevTurns& b : backends) {
    XDPLB_CHECK(b.offset < table.size() && b.skip >= 1 && b.skip < table.size() && b.weight <= kMaxWeight);
    cursors.push_back({.next = b.offset, .skip = b.skip, .weight = b.weight, .taken = 0});
    weight_min = std::min(weight_min, b.weight);
    weight_max = std::max(weight_max, b.weight);
  }
  if (weight_max == 0) return;
  Filler filler(table);
  if (weight_min == weight_max) {
    fill_equal(cursors, backends, filler);
  } else {
    fill_weighted(cursors, backends, weight_max, filler);
  }
}

void build_maglev(std::span<const Backend> backends, std::span<TableIndex> table) {
  const std::vector<Backend> sorted = by_identity(backends);
  std::vector<MaglevTurns> turns;
  turns.reserve(sorted.size());
  for (const Backend& b : sorted) turns.push_back(maglev_turns(b, static_cast<uint32_t>(table.size())));
  populate_maglev(turns, table);
}

bool is_prime(uint32_t n) {
  if (n < 4) return n >= 2;
  if (n % 2 == 0) return false;
  for (uint32_t d = 3; uint64_t{d} * d <= n; d += 2) {
    if (n % d == 0) return false;
  }
  return true;
}

uint32_t prime_at_most(uint32_t n) {
  while (n >= 2 && !is_prime(n)) --n;
  return n >= 2 ? n : 0;
}

}  // namespace xdplb
