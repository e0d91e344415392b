// Replay: the data path offline. A worker as the daemon runs it, between a model of the kernel program and a device
// of plain memory, its clock in the caller's hand. No root, no device; the same packets at the same times always give
// the same answers.
//
//   Replay replay(config, rules, [](std::span<const uint8_t> frame, uint64_t now_ns) { ... });
//   replay.feed(frame, time_ns);      // one after the other
//   replay.finish();
//   replay.verdicts()                 // one for each frame that was fed
//
// Single thread. Not movable: the worker holds addresses.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "umem/region.h"
#include "user/lb/flow_table.h"
#include "user/path/kernel_model.h"
#include "user/path/memory_device.h"
#include "user/path/worker.h"

namespace xdplb {

enum class Verdict : uint8_t { forward, drop, pass };

// What became of one packet. A packet that was held has the verdict that it got in the end.
struct PacketVerdict {
  Verdict verdict = Verdict::pass;
  Reason reason = Reason::none;   // of a drop
  uint16_t service = kNoService;  // by id
  uint16_t target = kNoTarget;
  FlowUse flow = FlowUse::none;
  // The member of the tier that a fragment was handed to: forwarded, but to no target.
  std::optional<uint8_t> peer = std::nullopt;
};

class Replay : private WorkerObserver {
 public:
  // Gets each frame that is sent, in order.
  using Sink = std::function<void(std::span<const uint8_t> frame, uint64_t now_ns)>;

  // `flows`: room in the flow table; no more than there will be packets are needed. Quotas are those of a daemon with
  // the usual --flows, whatever the room.
  static Result<std::unique_ptr<Replay>> create(const Config& config, const EgressRules& rules, uint32_t flows,
                                                Sink sink);
  ~Replay() override = default;
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  // A frame arrives. Time that goes backwards stands still.
  void feed(std::span<const uint8_t> frame, uint64_t time_ns);
  // No more come: what is held waits for its time to be up.
  void finish();

  [[nodiscard]] const std::vector<PacketVerdict>& verdicts() const { return verdicts_; }
  [[nodiscard]] const WorkerCounters& counters() const { return counters_; }
  [[nodiscard]] const FlowReader& flows() const { return flows_->reader(); }

 private:
  Replay(const Config& config, Sink sink, MappedRegion frames, MappedRegion flow_memory);
  [[nodiscard]] WorkerParts parts(const EgressRules& rules);
  void pass_time(uint64_t until_ns);
  void idle_until(uint64_t until_ns);
  void turn(uint64_t now_ns);

  void on_batch(const Batch& batch) override;
  void on_held_drop(const FrameRef& frame, std::span<const uint8_t> bytes, Reason why) override;

  Sink sink_;
  MappedRegion frame_memory_;
  MappedRegion flow_memory_;
  std::optional<FlowTable> flows_;
  std::vector<FragmentBucket> fragments_;
  FrameArea area_;
  FramePool pool_;
  KernelModel kernel_;
  MemoryDevice device_;
  std::optional<Port> port_;
  SnapshotPublisher snapshots_;
  WorkerCounters counters_;
  WorkerEpoch epoch_;
  std::unique_ptr<Worker> worker_;
  std::vector<size_t> packet_in_;  // by frame: which packet lies there
  std::vector<PacketVerdict> verdicts_;
  std::optional<uint64_t> first_ns_;
  uint64_t now_ns_ = 0;
  uint64_t idle_turns_max_ = 0;
};

}  // namespace xdplb
