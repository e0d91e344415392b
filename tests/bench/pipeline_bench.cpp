// The packet path in memory, parse to rewrite: ns a packet, whole and by stage; and how long a change of the
// configuration takes to come into force there.
//
//   pipeline_bench [Google Benchmark's options]
//   pipeline_bench --count FLOWS BATCHES      only runs them: for callgrind (tests/bench/instructions)
//
// Times are of the stages alone, taken around a whole ring of frames: filling it is not measured, but moves the
// frames out of the first caches, where the kernel leaves them too.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "tests/bench/pipeline_rig.h"

namespace xdplb::bench {
namespace {

using Clock = std::chrono::steady_clock;

// Each ring's time is one sample. The median leaves out those in which somebody else had the core.
class Samples {
 public:
  void add(Clock::duration took) { samples_.push_back(std::chrono::duration<double, std::nano>(took).count()); }
  [[nodiscard]] benchmark::Counter median_per_packet(uint32_t packets) {
    const auto middle = samples_.begin() + static_cast<ptrdiff_t>(samples_.size() / 2);
    std::nth_element(samples_.begin(), middle, samples_.end());
    return {*middle / packets};
  }

 private:
  std::vector<double> samples_;
};

void whole(benchmark::State& state, const PipelineShape& shape) {
  PipelineRig rig(shape);
  Samples samples;
  for (auto _ : state) {
    rig.fill();
    const auto start = Clock::now();
    for (uint32_t b = 0; b < rig.batches(); ++b) rig.run_batch(b);
    const auto took = Clock::now() - start;
    state.SetIterationTime(std::chrono::duration<double>(took).count());
    samples.add(took);
  }
  rig.check_batch();
  state.counters["ns_packet"] = samples.median_per_packet(shape.frames);
}

// The same with a look at the clock between the stages, which costs half a nanosecond a packet.
void by_stage(benchmark::State& state, const PipelineShape& shape) {
  PipelineRig rig(shape);
  constexpr auto kSteps = static_cast<size_t>(Step::kCount);
  std::array<Samples, kSteps> samples;
  for (auto _ : state) {
    rig.fill();
    const auto start = Clock::now();
    auto before = start;
    std::array<Clock::duration, kSteps> spent{};
    for (uint32_t b = 0; b < rig.batches(); ++b) {
      for (size_t s = 0; s < kSteps; ++s) {
        rig.run_step(static_cast<Step>(s), b);
        const auto now = Clock::now();
        spent[s] += now - before;
        before = now;
      }
    }
    state.SetIterationTime(std::chrono::duration<double>(before - start).count());
    for (size_t s = 0; s < kSteps; ++s) samples[s].add(spent[s]);
  }
  for (size_t s = 0; s < kSteps; ++s) {
    state.counters[fmt::format("{}.{}", s + 1, kStepNames[s])] = samples[s].median_per_packet(shape.frames);
  }
}

constexpr uint32_t kFlowCounts[] = {1, 1000, 100'000, 1u << 20};

void register_all() {
  for (const uint32_t flows : kFlowCounts) {
    for (const uint32_t batch : {64u, 256u}) {
      const PipelineShape shape{.flows = flows, .batch = batch};
      const std::string name = fmt::format("flows:{}/batch:{}", flows, batch);
      benchmark::RegisterBenchmark(("pipeline/" + name).c_str(), [shape](benchmark::State& state) {
        whole(state, shape);
      })->UseManualTime();
    }
  }
  for (const uint32_t flows : kFlowCounts) {
    const PipelineShape hot{.flows = flows, .frames = 256};
    const PipelineShape large{.flows = flows, .frame_size = kLargeFrames};
    const PipelineShape small_pages{.flows = flows, .huge_pages = false};
    const PipelineShape shape{.flows = flows};
    benchmark::RegisterBenchmark(fmt::format("pipeline_frames_in_cache/flows:{}", flows).c_str(),
                                 [hot](benchmark::State& state) { whole(state, hot); })
        ->UseManualTime();
    benchmark::RegisterBenchmark(fmt::format("pipeline_large_frames/flows:{}", flows).c_str(),
                                 [large](benchmark::State& state) { whole(state, large); })
        ->UseManualTime();
    benchmark::RegisterBenchmark(fmt::format("pipeline_small_pages/flows:{}", flows).c_str(),
                                 [small_pages](benchmark::State& state) { whole(state, small_pages); })
        ->UseManualTime();
    benchmark::RegisterBenchmark(fmt::format("stages/flows:{}", flows).c_str(), [shape](benchmark::State& state) {
      by_stage(state, shape);
    })->UseManualTime();
  }
}

int count_only(uint32_t flows, uint32_t batches) {
  PipelineRig rig({.flows = flows});
  for (uint32_t done = 0; done < batches;) {
    rig.fill();
    for (uint32_t b = 0; b < rig.batches() && done < batches; ++b, ++done) rig.run_batch(b);
  }
  rig.check_batch();
  return 0;
}

}  // namespace
}  // namespace xdplb::bench

int main(int argc, char** argv) {
  using namespace xdplb::bench;
  if (argc == 4 && std::string_view(argv[1]) == "--count") {
    return count_only(static_cast<uint32_t>(std::atoi(argv[2])), static_cast<uint32_t>(std::atoi(argv[3])));
  }
  register_all();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
