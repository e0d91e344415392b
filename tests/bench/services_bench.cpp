// What many services cost: finding a packet's service among them, and compiling all of them.
#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "user/lb/snapshot.h"

namespace xdplb {
namespace {

constexpr size_t kPackets = 4096;  // all of different services, where there are as many

IpAddr vip_of(uint32_t service) {
  const uint8_t bytes[4] = {10, 0, static_cast<uint8_t>(service >> 8), static_cast<uint8_t>(service)};
  return IpAddr::v4(bytes);
}

// Services by exact address and one port each; the targets of each are its own choice of 8192.
Config config_of(uint32_t services, uint32_t targets, uint32_t table_size) {
  Config config;
  constexpr uint32_t kTargets = 8192;
  for (uint32_t i = 0; i < kTargets; ++i) {
    Target target;
    target.name = fmt::format("t{}", i);
    target.mac = MacAddr{{2, 0, 0, 0, static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i)}};
    target.id = static_cast<uint16_t>(i);
    config.targets.push_back(target);
  }
  for (uint32_t i = 0; i < services; ++i) {
    Service service;
    service.name = fmt::format("s{}", i);
    service.id = static_cast<uint16_t>(i);
    service.vips = {IpPrefix{vip_of(i), 128}};
    service.listen = {Listen{6, {PortRange{80, 80}}}};
    service.table_size = table_size;
    for (uint32_t k = 0; k < targets; ++k) service.targets.push_back({(i + k) % kTargets, std::nullopt});
    config.services.push_back(service);
  }
  return config;
}

void match(benchmark::State& state) {
  const auto services = static_cast<uint32_t>(state.range(0));
  const VipTable table = VipTable::build(config_of(services, 1, 97).services);
  std::mt19937 random(1);
  std::vector<IpAddr> destinations(kPackets);
  for (IpAddr& destination : destinations) destination = vip_of(static_cast<uint32_t>(random() % services));
  for (auto _ : state) {
    for (const IpAddr& destination : destinations) benchmark::DoNotOptimize(table.match(destination, 6, 80));
  }
  state.counters["ns/packet"] = benchmark::Counter(
      static_cast<double>(kPackets), benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}
BENCHMARK(match)->ArgName("services")->RangeMultiplier(8)->Range(1, 4096);

// Every service has a table of its own. "again": one target has changed since, 64 services have it.
void compile(benchmark::State& state, bool again) {
  const auto table_size = static_cast<uint32_t>(state.range(0));
  Config config = config_of(4096, 64, table_size);
  const auto before = compile_snapshot(config, 1);
  config.targets[100].state = TargetState::down;
  for (auto _ : state) {
    const auto snapshot = compile_snapshot(config, 2, again ? before.get() : nullptr);
    benchmark::DoNotOptimize(snapshot.get());
  }
  state.counters["tables MiB"] = 4096.0 * table_size * sizeof(uint16_t) / (1 << 20);
}
void tables(benchmark::internal::Benchmark* bench) {
  bench->ArgName("M")->Arg(10007)->Arg(65537)->Unit(benchmark::kMillisecond)->Iterations(1);
}
BENCHMARK_CAPTURE(compile, all, false)->Apply(tables);
BENCHMARK_CAPTURE(compile, again, true)->Apply(tables);

}  // namespace
}  // namespace xdplb

BENCHMARK_MAIN();
