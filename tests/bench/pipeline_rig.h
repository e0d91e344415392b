// PipelineRig: all that a worker does with a packet between its rings, over real frames in memory: what
// pipeline_bench measures. Frames lie as in a UMEM: one to a chunk, behind 256 bytes of headroom, so that their first
// lines share two sets of the first-level cache (chunks of 2048 bytes), or one.
//
// A ring of frames is filled with packets of random flows (not measured), then goes through the stages batch by
// batch.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "tests/support/flow_fixture.h"
#include "umem/region.h"
#include "user/lb/steer.h"
#include "user/path/stages.h"

namespace xdplb::bench {

// What is timed apart.
enum class Step : uint8_t { receive, parse, look_up, find, decide, rewrite, kCount };
inline constexpr std::array<const char*, static_cast<size_t>(Step::kCount)> kStepNames = {
    "receive", "parse", "look_up", "find", "decide", "rewrite"};

struct PipelineShape {
  uint32_t flows = 1;
  uint32_t frames = 4096;  // a multiple of the batch
  uint32_t batch = 64;
  FrameSize frame_size = kSmallFrames;
  bool huge_pages = true;
  bool complete_checksums = false;
};

class PipelineRig {
 public:
  explicit PipelineRig(const PipelineShape& shape);

  [[nodiscard]] uint32_t batches() const { return shape_.frames / shape_.batch; }
  [[nodiscard]] const PipelineShape& shape() const { return shape_; }

  // The next packets arrive: every frame is written anew, as the kernel does.
  void fill();
  // One batch through everything, `which` counts from 0 to batches() - 1. Never inlined: callgrind counts what it
  // runs.
  [[gnu::noinline]] void run_batch(uint32_t which);
  // One step alone; the earlier ones must have run.
  void run_step(Step step, uint32_t which);

  // Every packet was forwarded by its flow, nearly all found in the near bucket: the bench is no bench otherwise.
  void check_batch() const;

 private:
  void receive(uint32_t which);
  void write_packet(uint32_t frame, uint32_t flow);

  PipelineShape shape_;
  MappedRegion frame_memory_;
  FrameArea area_;
  FlowMemory flow_memory_;
  FlowTable table_;
  std::vector<FragmentBucket> fragments_;
  std::unique_ptr<const Snapshot> snapshot_;
  Steering steering_;
  EgressRules rules_;
  Batch batch_;
  std::mt19937 random_{1};
  uint64_t now_ns_ = 1000 * kSecond;
};

}  // namespace xdplb::bench
