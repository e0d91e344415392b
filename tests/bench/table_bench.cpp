// How long a table takes to build: it runs off the packet path, but a configuration change waits for it.
#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "user/lb/maglev.h"
#include "user/lb/table_builder.h"

namespace xdplb {
namespace {

template <Algorithm kAlgorithm>
void build(benchmark::State& state) {
  const auto size = prime_at_most(static_cast<uint32_t>(state.range(0)));
  std::mt19937_64 random(1);
  std::vector<Backend> set(static_cast<size_t>(state.range(1)));
  for (size_t i = 0; i < set.size(); ++i) {
    set[i] = {.identity = random(), .weight = 1, .index = static_cast<TableIndex>(i)};
  }
  if (state.range(2) != 0) {
    for (Backend& b : set) b.weight = 1 + static_cast<uint32_t>(random() % static_cast<uint64_t>(state.range(2)));
  }
  std::vector<TableIndex> table(size);
  for (auto _ : state) {
    build_table(kAlgorithm, set, table);
    benchmark::DoNotOptimize(table.data());
    benchmark::ClobberMemory();
  }
  state.counters["M"] = size;
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"M", "N", "weights"})
      ->ArgsProduct({{997, 10007, 65537}, {10, 100, 1000, 4096}, {0, 1000}})
      ->Unit(benchmark::kMicrosecond);
}

BENCHMARK_TEMPLATE(build, Algorithm::maglev)->Name("maglev")->Apply(shapes);
BENCHMARK_TEMPLATE(build, Algorithm::rendezvous)->Name("rendezvous")->Apply(shapes);
BENCHMARK_TEMPLATE(build, Algorithm::modulo)->Name("modulo")->Apply(shapes);

}  // namespace
}  // namespace xdplb

BENCHMARK_MAIN();
