// How long a change of the configuration takes to come into force: one target taken down or up again, the snapshot
// compiled and published, and taken up by a worker that turns over idle batches. In memory; the daemon notices a
// written configuration within its few milliseconds of polling on top.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <atomic>
#include <thread>

#include "user/lb/snapshot.h"
#include "user/path/quiescence.h"

namespace xdplb {
namespace {

Config make_config(uint32_t services, uint32_t table_size, uint32_t targets) {
  Config config;
  for (uint32_t t = 0; t < targets; ++t) {
    Target target;
    target.name = fmt::format("vm-{:04}", t);
    target.mac = MacAddr{{2, 0, 0, 0, static_cast<uint8_t>(t >> 8), static_cast<uint8_t>(t)}};
    target.id = static_cast<uint16_t>(t);
    config.targets.push_back(target);
  }
  for (uint32_t s = 0; s < services; ++s) {
    Service service;
    service.name = fmt::format("service-{}", s);
    service.id = static_cast<uint16_t>(s);
    service.vips = {*parse_prefix(fmt::format("10.{}.{}.{}/32", s >> 16, s >> 8 & 255, s & 255))};
    service.table_size = table_size;
    // Each has its own share of the targets, so no table is shared between services.
    for (uint32_t t = s; t < targets; t += services) service.targets.push_back({t, {}});
    config.services.push_back(service);
  }
  return config;
}

void toggle_first(Config& config) {
  TargetState& state = config.targets.front().state;
  state = state == TargetState::active ? TargetState::down : TargetState::active;
}

void change(benchmark::State& state) {
  Config config = make_config(static_cast<uint32_t>(state.range(0)), static_cast<uint32_t>(state.range(1)),
                              static_cast<uint32_t>(state.range(2)));
  uint64_t generation = 1;
  SnapshotPublisher publisher(compile_snapshot(config, generation));
  WorkerEpoch epoch;
  std::atomic<bool> stop = false;
  std::thread worker([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      benchmark::DoNotOptimize(publisher.acquire(epoch));
      std::this_thread::yield();  // the benchmark may have one core only
    }
    SnapshotPublisher::release(epoch);
  });
  WorkerEpoch* const workers[] = {&epoch};
  for (auto _ : state) {
    toggle_first(config);
    publisher.publish(compile_snapshot(config, ++generation, &publisher.current()));
    while (!publisher.collect(workers)) std::this_thread::yield();
  }
  stop = true;
  worker.join();
}

}  // namespace
}  // namespace xdplb

BENCHMARK(xdplb::change)
    ->Name("change_in_force")
    ->ArgNames({"services", "M", "targets"})
    ->Args({1, 997, 20})
    ->Args({1, 10007, 100})
    ->Args({1, 65537, 1000})
    ->Args({100, 10007, 1000})
    ->Args({1000, 997, 4000})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

BENCHMARK_MAIN();
