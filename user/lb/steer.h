// Steering: which target gets a packet. Plain loops over the columns of a batch, one per step; a step over the batch
// is the prefetch distance of the next. One per worker, used by its thread alone; what workers share (other tables,
// fragments) it reads without waiting. No step allocates or calls out; the clock is an argument.
//
// The steps, in order: look_up (the service, and ask for the flow's bucket), find (the entry in the near bucket, else
// ask for the far one), decide. A packet that a step drops keeps the Reason; the steps after it pass over it.
//
// The rules, as decide applies them:
//   - a later fragment follows what the first one of its datagram was given; until that is known it is held;
//   - an ICMP error goes to the target of the connection inside: by flow, in any worker's table, else by Maglev;
//   - an echo goes by its addresses;
//   - everything else by its flow, while the target keeps flows; else by the service's table, and is entered as a
//   flow.
//     Where that fails (budget, quota, no room) the choice rests on Maglev alone.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "user/base/limits.h"
#include "user/base/reason.h"
#include "user/lb/flow_table.h"
#include "user/lb/flush_box.h"
#include "user/lb/fragment_table.h"
#include "user/lb/snapshot.h"
#include "user/net/parse.h"

namespace xdplb {

enum class Fate : uint8_t {
  forward,  // to `target`
  drop,     // for `reason`
  hold,     // until the first fragment of its datagram comes; `hash` names the datagram
  peer,     // to the balancer `peer` of our tier, which owns the datagram; no step here touches it
};

enum class FlowUse : uint8_t { none, hit, entered };
// "none", "hit", "new": as replay and capture say it.
const char* to_string(FlowUse use);

// What is known of each packet of a batch, by column: filled from parsing on, step by step.
struct PacketColumns {
  PacketInfo info[kMaxBatch];
  Reason reason[kMaxBatch];
  Fate fate[kMaxBatch];
  uint16_t service[kMaxBatch];
  uint16_t target[kMaxBatch];
  uint64_t hash[kMaxBatch];   // of the flow, or of the datagram for a later fragment; keyed by the placement secret
  uint32_t entry[kMaxBatch];  // of the flow table, where the flow seems to be; kNoEntry: to be looked for elsewhere
  FlowUse flow[kMaxBatch];
  uint8_t peer[kMaxBatch];  // member of the tier

  void drop(uint32_t i, Reason why) {
    reason[i] = why;
    fate[i] = Fate::drop;
  }
};

struct SteeringParts {
  FlowTable* flows = nullptr;
  std::vector<FlowReader> others;  // the tables of the other workers, and those that have no worker now
  bool orphans = false;            // some of them have none: a miss looks there too
  FlushBox* flush = nullptr;       // flows that the control thread wants forgotten; may be null
  std::span<FragmentBucket> fragments;
  uint64_t fragment_secret = 0;
  uint64_t fragment_ttl_ns = 2'000'000'000;
};

class Steering {
 public:
  explicit Steering(const SteeringParts& parts);

  // The service, by destination, protocol and port; ICMP and later fragments by their own rules. Then the flow's
  // bucket is asked for.
  void look_up(const Snapshot& snapshot, PacketColumns& packets, uint32_t count) const;
  void find(PacketColumns& packets, uint32_t count) const;
  void decide(const Snapshot& snapshot, PacketColumns& packets, uint32_t count, uint64_t now_ns);

  // All steps at once.
  void steer(const Snapshot& snapshot, PacketColumns& packets, uint32_t count, uint64_t now_ns);

  // Whether the first fragment of a held datagram has come by now, to whichever worker.
  [[nodiscard]] bool knows_datagram(uint64_t hash, uint64_t now_ns) const {
    return decision_for_held(hash, now_ns).has_value();
  }
  // As steer(), for fragments that were held. They follow the first fragment that came first since end_turn(): one of
  // the same identification may have come after it, and replaced its decision, before they could leave.
  void steer_held(const Snapshot& snapshot, PacketColumns& packets, uint32_t count, uint64_t now_ns);
  // Nothing that came before is still to be released.
  void end_turn() { firsts_count_ = 0; }

 private:
  struct First {
    uint64_t datagram = 0;
    FragmentDecision decision;
  };
  void look_up_other(const Snapshot& snapshot, PacketColumns& packets, uint32_t i) const;
  void decide_other(const Snapshot& snapshot, PacketColumns& packets, uint32_t i, uint64_t now_ns);
  void decide_flow(const Snapshot& snapshot, PacketColumns& packets, uint32_t i, uint64_t now_ns);
  void decide_error(const Snapshot& snapshot, PacketColumns& packets, uint32_t i, uint64_t now_ns);
  void decide_first_fragment(const Snapshot& snapshot, PacketColumns& packets, uint32_t i, uint64_t now_ns);
  static void follow_first(const Snapshot& snapshot, PacketColumns& packets, uint32_t i,
                           const std::optional<FragmentDecision>& decision);
  [[nodiscard]] std::optional<FragmentDecision> decision_for_held(uint64_t hash, uint64_t now_ns) const;
  // Lets a live flow keep its target. False where it has none that keeps flows.
  bool follow(const Snapshot& snapshot, PacketColumns& packets, uint32_t i, const FlowHit& hit, uint64_t now_ns);
  [[nodiscard]] FlowHit find_elsewhere(uint64_t hash, uint64_t now_ns) const;

  SteeringParts parts_;
  FragmentTable fragments_;
  // Of this turn, in the order in which they came. Those that find no room are only in the table.
  std::array<First, kMaxBatch> firsts_;
  uint32_t firsts_count_ = 0;
};

}  // namespace xdplb
