// The flow table as a worker uses it: batches of 64, in three passes. Random flows, so that with a million of them
// each look-up is a cache miss that only the prefetch can hide.
//
// "near" is the share of flows in their near bucket (one cache line a hit), "refused" the share that found no room.
#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "tests/support/flow_fixture.h"
#include "user/net/parse.h"

namespace xdplb {
namespace {

constexpr uint32_t kFlows = kDefaultFlows;
constexpr uint32_t kBatch = 64;
constexpr uint64_t kStart = 1000 * kSecond;

struct Rig {
  Rig(uint32_t flows, bool huge_pages)
      : memory(kFlows, huge_pages), table(*FlowTable::create(memory.bytes(), kFlows, 0x5eed)) {
    keys.reserve(flows);
    for (uint32_t n = 0; n < flows; ++n) {
      keys.push_back(flow_key(n));
      table.enter(table.hash(keys[n]), keys[n], kTcpAck, {}, policy, kStart);
    }
    std::mt19937 random(1);
    order.resize(1u << 20);
    for (uint32_t& n : order) n = static_cast<uint32_t>(random() % flows);
  }
  [[nodiscard]] double near_share() const {
    uint32_t near = 0;
    for (const FlowKey& key : keys) {
      const uint64_t hash = table.hash(key);
      near += table.seek(table.near_entry(hash), hash) != kNoEntry;
    }
    return near / static_cast<double>(keys.size());
  }

  FlowMemory memory;
  FlowTable table;
  FlowPolicy policy = test_policy(~0u, ~0u);
  std::vector<FlowKey> keys;
  std::vector<uint32_t> order;
};

void hit(benchmark::State& state) {
  Rig rig(static_cast<uint32_t>(state.range(0)), state.range(1) != 0);
  // The hashes of the packets to come, as a worker has them in its batch: the keys are in its cache there.
  std::vector<uint64_t> hashes;
  for (const uint32_t n : rig.order) hashes.push_back(rig.table.hash(rig.keys[n]));
  size_t at = 0;
  uint64_t now_ns = kStart, missed = 0;
  for (auto _ : state) {
    const uint64_t* const batch = hashes.data() + at;
    uint32_t entries[kBatch];
    for (uint32_t i = 0; i < kBatch; ++i) {
      entries[i] = rig.table.near_entry(batch[i]);
      rig.table.prefetch(entries[i]);
    }
    for (uint32_t i = 0; i < kBatch; ++i) {
      entries[i] = rig.table.seek(entries[i], batch[i]);
      if (entries[i] == kNoEntry) rig.table.prefetch_far(batch[i]);
    }
    for (uint32_t i = 0; i < kBatch; ++i) {
      if (entries[i] != kNoEntry) {
        const FlowWords flow = rig.table.words_of(entries[i]);
        if (flow.has_tag(FlowTag(batch[i])) && stays(flow.state(), kTcpAck)) {
          rig.table.renew(entries[i], flow, rig.policy.timeouts, to_tick(now_ns));
          continue;
        }
      }
      if (const FlowHit hit = rig.table.find(batch[i], now_ns)) {
        rig.table.touch(hit, kTcpAck, rig.policy, now_ns);
      } else {
        ++missed;
      }
    }
    at = (at + kBatch) % hashes.size();
    now_ns += kBatch * 500;  // 2 Mpps
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kBatch);
  state.counters["ns_per_packet"] = benchmark::Counter(static_cast<double>(state.iterations()) * kBatch * 1e-9,
                                                       benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["near"] = rig.near_share();
  state.counters["refused"] = static_cast<double>(rig.table.reader().counter(FlowCounter::refused_full)) /
                              static_cast<double>(state.range(0));
  state.counters["missed"] = static_cast<double>(missed);
}

// New flows, each with its look-up that misses: the table turns over at half load.
void enter(benchmark::State& state) {
  Rig rig(static_cast<uint32_t>(state.range(0)), true);
  uint32_t oldest = 0;
  for (auto _ : state) {
    FlowKey& key = rig.keys[oldest];
    rig.table.remove(rig.table.find(rig.table.hash(key), kStart));
    key.src.bytes[12] = static_cast<uint8_t>(key.src.bytes[12] + 1);
    rig.table.enter(rig.table.hash(key), key, kTcpAck, {}, rig.policy, kStart);
    oldest = oldest + 1 == rig.keys.size() ? 0 : oldest + 1;
  }
}

// What an idle table and a full one cost each turn.
void sweep(benchmark::State& state) {
  Rig rig(static_cast<uint32_t>(state.range(0)), true);
  for (auto _ : state) rig.table.sweep(16, kStart);
}

void adopt(benchmark::State& state) {
  Rig rig(static_cast<uint32_t>(state.range(0)), true);
  for (auto _ : state) {
    FlowAdoption report;
    benchmark::DoNotOptimize(FlowTable::adopt(
        rig.memory.bytes(), kStart, [](FlowOwner owner) { return std::optional(owner); }, report));
  }
}

}  // namespace
}  // namespace xdplb

BENCHMARK(xdplb::hit)
    ->Name("flow_hit")
    ->ArgNames({"flows", "huge"})
    ->ArgsProduct({{1, 1000, 100'000, 1 << 20}, {0, 1}});
BENCHMARK(xdplb::enter)->Name("flow_replace")->Arg(1000)->Arg(1 << 20);
BENCHMARK(xdplb::sweep)->Name("flow_sweep_16_buckets")->Arg(1000)->Arg(1 << 20);
BENCHMARK(xdplb::adopt)->Name("flow_adopt")->Arg(1000)->Arg(1 << 20)->Unit(benchmark::kMillisecond);

BENCHMARK_MAIN();
