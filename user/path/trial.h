// Trial: what a worker would do with one packet now, found out by the worker's own stages: parse, the choice of a
// balancer, steering, rewrite.
//
// They work on a copy of the packet and on a flow table and fragment decisions of the trial's own, which are thrown
// away. The real ones are only read, so nobody notices. Control thread only; some 50 us a packet.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "umem/region.h"
#include "user/lb/fragment_table.h"
#include "user/path/tier_stages.h"

namespace xdplb {

struct TrialParts {
  const Snapshot* snapshot = nullptr;
  // The workers' tables. The first one that has the packet's flow counts as that of the worker that gets the packet.
  std::vector<FlowReader> tables;
  FragmentTable fragments;  // the workers'
  TierMask live_peers = kAllLive;
  EgressRules rules;
  uint64_t flow_secret = 0;  // of `tables`
};

struct TrialOutcome {
  PacketInfo info;  // where it could be parsed
  Fate fate = Fate::drop;
  Reason reason = Reason::none;   // of a drop
  uint16_t service = kNoService;  // kNoService, too, for a fragment of which nothing is known
  uint16_t target = kNoTarget;
  uint8_t peer = 0;
  std::optional<FragmentDecision> datagram;  // of a fragment: what was decided for its datagram before it came
};

class Trial {
 public:
  // Error where there is no memory for its flow table.
  static Result<std::unique_ptr<Trial>> create(TrialParts parts, uint64_t now_ns);
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  // The packet as it would come in. Between this and run() the caller may look for its flow.
  Reason parse(std::span<const uint8_t> frame);
  [[nodiscard]] const PacketInfo& info() const { return batch_->packets.info[0]; }
  // Lets that table have precedence: its worker gets the packet.
  void prefer(size_t table);
  // What becomes of the packet that was parsed. Once.
  TrialOutcome run();

 private:
  Trial(TrialParts parts, uint64_t now_ns, MappedRegion memory)
      : parts_(std::move(parts)), now_ns_(now_ns), memory_(std::move(memory)) {}

  TrialParts parts_;
  uint64_t now_ns_;
  MappedRegion memory_;
  std::optional<FlowTable> flows_;
  std::vector<uint8_t> frame_;
  std::unique_ptr<Batch> batch_ = std::make_unique<Batch>();
};

}  // namespace xdplb
