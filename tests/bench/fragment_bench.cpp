// What a fragment costs: its decision found or published, its frame held and taken up again.
#include <benchmark/benchmark.h>

#include <vector>

#include "user/lb/fragment_table.h"
#include "user/lb/held_fragments.h"

namespace xdplb {
namespace {

constexpr uint64_t kNow = 1'000'000'000'000;
constexpr uint64_t kTtl = 2'000'000'000;

void find(benchmark::State& state) {
  std::vector<FragmentBucket> memory(fragment_buckets(kDefaultFragmentDatagrams));
  FragmentTable table(memory, 1);
  FragmentKey key;
  for (key.id = 0; key.id < 10'000; ++key.id)
    table.publish(table.hash(key), {.target = {}, .flow = key.id}, kNow, kTtl);
  for (auto _ : state) {
    key.id = (key.id + 1) % 10'000;
    benchmark::DoNotOptimize(table.find(table.hash(key), kNow));
  }
}

// Every datagram is new: after a second the table is full of live decisions, and each evicts one.
void publish(benchmark::State& state) {
  std::vector<FragmentBucket> memory(fragment_buckets(kDefaultFragmentDatagrams));
  FragmentTable table(memory, 1);
  FragmentKey key;
  for (auto _ : state) {
    ++key.id;
    benchmark::DoNotOptimize(table.publish(table.hash(key), {.target = {}, .flow = key.id}, kNow, kTtl));
  }
}

void hold_and_take(benchmark::State& state) {
  HeldFragments held{HeldLimits{}};
  uint64_t hash = 0;
  uint64_t sum = 0;
  for (auto _ : state) {
    hash += 0x9e3779b97f4a7c15u;
    for (uint64_t frame = 0; frame < 20; ++frame) {
      held.hold(hash, {.frame = frame, .len_bytes = 1500}, kNow, [&](HeldFrame f) { sum += f.frame; });
    }
    held.take(hash, [&](HeldFrame f) { sum += f.frame; });
  }
  benchmark::DoNotOptimize(sum);
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * 20);
}

}  // namespace
}  // namespace xdplb

BENCHMARK(xdplb::find)->Name("fragment_find");
BENCHMARK(xdplb::publish)->Name("fragment_publish");
BENCHMARK(xdplb::hold_and_take)->Name("fragment_hold_and_take_20");

BENCHMARK_MAIN();
