// Which layout a flow table should have: the candidates reduced to what their layout decides. Each has 2 Mi slots; an
// entry is a tag, a target and a time. The winner is user/lb/flow_table; flow_table_bench measures the real one.
//
//   plain 8-way      8-byte entries, one bucket of a cache line
//   two-choice 8-way 8-byte entries, near bucket until full, then far
//   two-choice 4-way 16-byte entries, near until full, then far; with and without moving others out of the way
//
// "refused": share of the flows that found no room. "far": share that costs a second line. "confused": look-ups of
// unknown flows that found one, of a million.
#include <benchmark/benchmark.h>

#include <array>
#include <random>
#include <vector>

#include "user/base/hash.h"

namespace xdplb {
namespace {

constexpr uint32_t kSlots = 1u << 21;
constexpr uint32_t kBatch = 64;

// A key is a number; its hash is what the keyed hash of a tuple would be.
uint64_t hash_of(uint64_t key) {
  return hash_bytes(&key, sizeof key, 42);
}

// 8 bytes: 24 bits of tag beside 16 of target, 16 of epoch and 8 of time. 16 bytes: 48 bits of tag.
struct Small {
  uint64_t word = 0;
  [[nodiscard]] bool used() const { return word != 0; }
  [[nodiscard]] bool matches(uint64_t hash) const { return ((word ^ hash) & 0xffffff) == 0 && used(); }
  void set(uint64_t hash) { word = (hash & 0xffffff) | uint64_t{1} << 32; }
  void touch(uint64_t now) { word = (word & ~(uint64_t{0xff} << 24)) | (now & 0xff) << 24; }
  [[nodiscard]] uint64_t tag() const { return word & 0xffffff; }
};
struct Large {
  uint64_t place = 0;
  uint64_t life = 0;
  [[nodiscard]] bool used() const { return life != 0; }
  [[nodiscard]] bool matches(uint64_t hash) const {
    return place >> 32 == (hash & 0xffffffff) && (life & 0xffff) == (hash >> 32 & 0xffff) && used();
  }
  void set(uint64_t hash) {
    place = hash << 32;
    life = (hash >> 32 & 0xffff) | 1 << 16;
  }
  void touch(uint64_t now) { life = (life & 0xffffffff) | now << 32; }
  [[nodiscard]] uint64_t tag() const { return (life & 0xffff) << 32 | place >> 32; }
};

template <typename Entry, uint32_t kChoices, bool kMove>
class Table {
 public:
  static constexpr uint32_t kWays = 64 / sizeof(Entry);
  static constexpr uint32_t kBuckets = kSlots / kWays;
  struct alignas(64) Bucket {
    std::array<Entry, kWays> entries;
  };

  static uint32_t near(uint64_t hash) { return reduce(hash, kBuckets); }
  static uint32_t other(uint32_t bucket, uint64_t tag) {
    return (reduce(tag * 0x9e3779b97f4a7c15u, kBuckets) + kBuckets - bucket) % kBuckets;
  }
  static uint32_t far(uint64_t hash) {
    Entry entry;
    entry.set(hash);
    return other(near(hash), entry.tag());
  }

  Entry* find_in(uint32_t bucket, uint64_t hash) {
    uint32_t matches = 0;
    Bucket& b = buckets_[bucket];
    for (uint32_t way = 0; way < kWays; ++way) matches |= uint32_t{b.entries[way].matches(hash)} << way;
    return matches == 0 ? nullptr : &b.entries[static_cast<uint32_t>(__builtin_ctz(matches))];
  }
  Entry* find(uint64_t hash) {
    Entry* entry = find_in(near(hash), hash);
    return entry == nullptr && kChoices == 2 ? find_in(far(hash), hash) : entry;
  }
  Entry* room_in(uint32_t bucket) {
    for (Entry& entry : buckets_[bucket].entries) {
      if (!entry.used()) return &entry;
    }
    return nullptr;
  }
  bool insert(uint64_t hash) {
    Entry* room = room_in(near(hash));
    if (room == nullptr && kChoices == 2) room = room_in(far(hash));
    if (room == nullptr && kMove) room = move_out_of(near(hash));
    if (room == nullptr && kMove) room = move_out_of(far(hash));
    if (room != nullptr) room->set(hash);
    return room != nullptr;
  }
  Entry* move_out_of(uint32_t bucket) {
    for (Entry& entry : buckets_[bucket].entries) {
      if (Entry* room = room_in(other(bucket, entry.tag()))) {
        *room = entry;
        return &entry;
      }
    }
    return nullptr;
  }
  void prefetch(uint32_t bucket) const { __builtin_prefetch(&buckets_[bucket]); }

 private:
  std::vector<Bucket> buckets_ = std::vector<Bucket>(kBuckets);
};

template <typename Entry, uint32_t kChoices, bool kMove>
void layout(benchmark::State& state) {
  using T = Table<Entry, kChoices, kMove>;
  T table;
  const auto flows = static_cast<uint64_t>(state.range(0));
  uint64_t refused = 0, far = 0, confused = 0;
  std::vector<uint64_t> entered;
  for (uint64_t key = 0; key < flows; ++key) {
    const uint64_t hash = hash_of(key);
    confused += table.find(hash) != nullptr;
    if (table.insert(hash)) {
      entered.push_back(hash);
    } else {
      ++refused;
    }
  }
  for (const uint64_t hash : entered) far += table.find_in(T::near(hash), hash) == nullptr;
  std::mt19937_64 random(1);
  std::vector<uint64_t> order(1u << 20);
  for (uint64_t& hash : order) hash = entered[random() % entered.size()];
  size_t at = 0;
  uint64_t now = 0;
  for (auto _ : state) {
    const uint64_t* const batch = order.data() + at;
    Entry* found[kBatch];
    for (uint32_t i = 0; i < kBatch; ++i) table.prefetch(T::near(batch[i]));
    for (uint32_t i = 0; i < kBatch; ++i) {
      found[i] = table.find_in(T::near(batch[i]), batch[i]);
      if (kChoices == 2 && found[i] == nullptr) table.prefetch(T::far(batch[i]));
    }
    for (uint32_t i = 0; i < kBatch; ++i) {
      if (kChoices == 2 && found[i] == nullptr) found[i] = table.find_in(T::far(batch[i]), batch[i]);
      if (found[i] != nullptr) found[i]->touch(now);
    }
    at = (at + kBatch) % order.size();
    ++now;
  }
  state.counters["ns_per_packet"] = benchmark::Counter(static_cast<double>(state.iterations()) * kBatch * 1e-9,
                                                       benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["refused"] = static_cast<double>(refused) / static_cast<double>(flows);
  state.counters["far"] = static_cast<double>(far) / static_cast<double>(entered.size());
  state.counters["confused_per_1M"] = 1e6 * static_cast<double>(confused) / static_cast<double>(flows);
}

BENCHMARK_TEMPLATE(layout, Small, 1, false)->Name("plain_8way")->Arg(1000)->Arg(100'000)->Arg(1 << 20);
BENCHMARK_TEMPLATE(layout, Small, 2, false)->Name("two_choice_8way")->Arg(1000)->Arg(100'000)->Arg(1 << 20);
BENCHMARK_TEMPLATE(layout, Large, 2, false)->Name("two_choice_4way")->Arg(1000)->Arg(100'000)->Arg(1 << 20);
BENCHMARK_TEMPLATE(layout, Large, 2, true)->Name("two_choice_4way_moving")->Arg(1000)->Arg(100'000)->Arg(1 << 20);

}  // namespace
}  // namespace xdplb

BENCHMARK_MAIN();
