#include "user/path/replay.h"

#include <algorithm>

#include "user/base/clock.h"

namespace xdplb {
namespace {

constexpr uint32_t kRing = 64;
// One packet a turn, and what fragments may hold.
constexpr uint32_t kFrames = 4 * kRing + kMaxBatch + 512;
// The daemon draws these at random, against attackers. Here every run is to give the same answers.
constexpr uint64_t kFlowSecret = 0x7265706c61792d31;
constexpr uint64_t kFragmentSecret = 0x7265706c61792d32;
// The worker's clock begins here, whatever the capture's does.
constexpr uint64_t kStartNs = kNsPerSec;
// The time for which the sweeper does all its work in one turn.
constexpr uint64_t kIdleTurnNs = kSweepBucketEveryNs * kSweepBucketsMax;
// No flow lives longer without a packet.
constexpr uint64_t kAllFlowsEndNs = (kMaxTimeout_s + uint64_t{86400}) * kNsPerSec;

}  // namespace

Result<std::unique_ptr<Replay>> Replay::create(const Config& config, const EgressRules& rules, uint32_t flows,
                                               Sink sink) {
  const uint32_t room = std::clamp(flows, kMinFlows, kDefaultFlows);
  auto frames = MappedRegion::create(uint64_t{kFrames} * kFrameBytes, HugePages::never);
  if (!frames) return frames.error();
  auto flow_memory = MappedRegion::create(flow_geometry(room).region_bytes, HugePages::never);
  if (!flow_memory) return flow_memory.error();
  std::unique_ptr<Replay> replay(new Replay(config, std::move(sink), std::move(*frames), std::move(*flow_memory)));
  auto table = FlowTable::create(replay->flow_memory_.bytes(), room, kFlowSecret);
  if (!table) return table.error();
  replay->flows_.emplace(std::move(*table));
  replay->idle_turns_max_ = replay->flows().slots() / kBucketWays / kSweepBucketsMax + 1;
  replay->worker_ = std::make_unique<Worker>(replay->parts(rules));
  return replay;
}

Replay::Replay(const Config& config, Sink sink, MappedRegion frames, MappedRegion flow_memory)
    : sink_(std::move(sink)),
      frame_memory_(std::move(frames)),
      flow_memory_(std::move(flow_memory)),
      fragments_(fragment_buckets(kDefaultFragmentDatagrams)),
      area_(frame_memory_.bytes().first(uint64_t{kFrames} * kFrameBytes)),
      pool_(kFrames),
      kernel_(kernel_vips(config)),
      device_(
          area_, kRing,
          [this](const FrameRef& frame) {
            const auto bytes = area_.bytes(frame);
            sink_({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, now_ns_ - kStartNs + *first_ns_);
          }),
      snapshots_(compile_snapshot(config, 1)),
      packet_in_(kFrames, 0) {
  port_.emplace(PortId{0}, area_, device_.rings(), device_, pool_);
}

WorkerParts Replay::parts(const EgressRules& rules) {
  WorkerParts parts;
  parts.ingress.push_back({&*port_, Heartbeat(), &*port_});
  parts.egress = &*port_;
  parts.pool = &pool_;
  parts.area = area_;
  parts.rules = rules;
  parts.turn_max = 1;
  parts.steering.flows = &*flows_;
  parts.steering.fragments = fragments_;
  parts.steering.fragment_secret = kFragmentSecret;
  parts.snapshots = &snapshots_;
  parts.counters = &counters_;
  parts.epoch = &epoch_;
  parts.observer = this;
  return parts;
}

void Replay::feed(std::span<const uint8_t> frame, uint64_t time_ns) {
  if (!first_ns_) {
    first_ns_ = time_ns;
    turn(kStartNs);
  }
  pass_time(time_ns < *first_ns_ ? now_ns_ : time_ns - *first_ns_ + kStartNs);
  verdicts_.emplace_back();
  if (kernel_.judge(frame) != KernelVerdict::redirect) return;
  if (frame.size() > MemoryDevice::kPacketBytesMax) {
    // No device hands such a one to a socket: it does not fit a frame.
    verdicts_.back() = {.verdict = Verdict::drop, .reason = Reason::too_big};
    counters_.rx.add(1);
    counters_.drop(Reason::too_big);
    return;
  }
  packet_in_[area_.frame_size().index(device_.deliver(frame))] = verdicts_.size() - 1;
  turn(now_ns_);
}

void Replay::finish() {
  if (!first_ns_) return;
  pass_time(now_ns_ + HeldLimits().wait_ns + kIdleTurnNs);
  worker_->drop_held();
}

// A worker that gets no packets still turns: held fragments are given up, the sweeper goes on. Once it has been all
// round the flow table, further rounds change nothing.
void Replay::pass_time(uint64_t until_ns) {
  if (until_ns <= now_ns_) return;
  // A flow's deadline is told from a future one for half a round of its 32 bits, 417 days; a worker's sweeper has
  // long taken it away by then. So do we, before such a leap.
  if (until_ns - now_ns_ > 2 * kAllFlowsEndNs) idle_until(now_ns_ + kAllFlowsEndNs);
  idle_until(until_ns);
}

void Replay::idle_until(uint64_t until_ns) {
  const uint64_t turns = std::min((until_ns - now_ns_) / kIdleTurnNs, idle_turns_max_);
  for (uint64_t left = turns; left > 0; --left) turn(until_ns - left * kIdleTurnNs);
  turn(until_ns);
}

void Replay::turn(uint64_t now_ns) {
  now_ns_ = now_ns;
  worker_->turn(now_ns);
}

void Replay::on_batch(const Batch& batch) {
  const PacketColumns& packets = batch.packets;
  for (uint32_t i = 0; i < batch.count; ++i) {
    PacketVerdict& verdict = verdicts_[packet_in_[area_.frame_size().index(batch.frames[i].addr)]];
    if (packets.fate[i] == Fate::peer) {
      verdict = {.verdict = Verdict::forward, .peer = packets.peer[i]};
      continue;
    }
    verdict.verdict = packets.fate[i] == Fate::forward ? Verdict::forward : Verdict::drop;
    verdict.reason = packets.fate[i] == Fate::drop ? packets.reason[i] : Reason::none;
    // What broke before it was matched has no service, and what is held has none yet.
    const bool matched = packets.fate[i] == Fate::forward || verdict.reason == Reason::no_target;
    verdict.service = matched ? packets.service[i] : kNoService;
    verdict.target = packets.fate[i] == Fate::forward ? packets.target[i] : kNoTarget;
    verdict.flow = packets.fate[i] == Fate::forward ? packets.flow[i] : FlowUse::none;
  }
}

void Replay::on_held_drop(const FrameRef& frame, std::span<const uint8_t> /*bytes*/, Reason why) {
  verdicts_[packet_in_[area_.frame_size().index(frame.addr)]] = {.verdict = Verdict::drop, .reason = why};
}

}  // namespace xdplb
