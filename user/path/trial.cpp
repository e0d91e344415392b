#include "user/path/trial.h"

#include <algorithm>

namespace xdplb {

Result<std::unique_ptr<Trial>> Trial::create(TrialParts parts, uint64_t now_ns) {
  auto memory = MappedRegion::create(flow_geometry(kMinFlows).region_bytes, HugePages::never);
  if (!memory) return memory.error();
  std::unique_ptr<Trial> trial(new Trial(std::move(parts), now_ns, std::move(*memory)));
  auto flows = FlowTable::create(trial->memory_.bytes(), kMinFlows, trial->parts_.flow_secret);
  if (!flows) return flows.error();
  trial->flows_.emplace(std::move(*flows));
  return trial;
}

Reason Trial::parse(std::span<const uint8_t> frame) {
  frame_.assign(frame.begin(), frame.end());
  batch_->count = 1;
  batch_->data[0] = frame_.data();
  batch_->frames[0] = {{0}, static_cast<uint32_t>(frame_.size())};
  xdplb::parse(*batch_);
  return batch_->packets.reason[0];
}

void Trial::prefer(size_t table) {
  std::rotate(parts_.tables.begin(), parts_.tables.begin() + static_cast<ptrdiff_t>(table),
              parts_.tables.begin() + static_cast<ptrdiff_t>(table) + 1);
}

TrialOutcome Trial::run() {
  PacketColumns& packets = batch_->packets;
  TrialOutcome outcome;
  std::vector<FragmentBucket> fragments(1);
  SteeringParts steering;
  steering.flows = &*flows_;
  steering.others = parts_.tables;
  steering.orphans = true;  // look into `others`, whatever the targets' states
  steering.fragments = fragments;
  const PacketKind kind = packets.info[0].kind;
  if (kind == PacketKind::first_fragment || kind == PacketKind::later_fragment) {
    const FragmentKey key = fragment_key(packets.info[0]);
    outcome.datagram = parts_.fragments.find(parts_.fragments.hash(key), now_ns_);
    FragmentTable ours(fragments, steering.fragment_secret);
    if (outcome.datagram) ours.publish(ours.hash(key), *outcome.datagram, now_ns_, steering.fragment_ttl_ns);
  }
  if (parts_.snapshot->tier.exists()) {
    const auto uncounted = std::make_unique<WorkerCounters>();
    choose_balancers(*parts_.snapshot, parts_.live_peers, *batch_, *uncounted);
  }
  Steering(steering).steer(*parts_.snapshot, packets, 1, now_ns_);
  rewrite(*parts_.snapshot, parts_.rules, *batch_);
  outcome.info = packets.info[0];
  outcome.fate = packets.fate[0];
  if (outcome.fate == Fate::drop) outcome.reason = packets.reason[0];
  outcome.service = packets.service[0];
  if (outcome.fate == Fate::forward) outcome.target = packets.target[0];
  outcome.peer = packets.peer[0];
  return outcome;
}

}  // namespace xdplb
