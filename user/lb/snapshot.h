// Snapshot: a Config compiled for the packet path. Immutable once made; workers read it through one published pointer
// (user/path/quiescence.h) and it is freed when every worker has moved on.
//
// Targets and services are found by their id (user/lb/config.h), so that what outlives a snapshot, a flow entry or a
// counter, can name them. Ids are small and dense enough for plain arrays.
#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "user/lb/config.h"
#include "user/lb/flow_geometry.h"
#include "user/lb/flow_layout.h"
#include "user/lb/flow_state.h"
#include "user/lb/tier.h"
#include "user/lb/vip_table.h"
#include "user/net/flow_key.h"

namespace xdplb {

inline constexpr uint16_t kNoTarget = 0xffff;

// What rewriting a packet needs, and what a flow entry is checked against. 16 bytes.
struct SnapshotTarget {
  MacAddr mac;
  uint16_t epoch = 0;
  bool exists = false;
  TargetState state = TargetState::down;
  bool reachable = false;  // its MAC is known
  uint8_t reserved = 0;
  FlowTarget keeps{kNoTarget, 0};  // the flows that may stay: of its id and epoch, or of nobody

  // Whether a flow that was given to {this id, epoch} may stay with it.
  [[nodiscard]] bool keeps_flows(uint16_t of_epoch) const { return keeps.id != kNoTarget && keeps.epoch == of_epoch; }
};
static_assert(sizeof(SnapshotTarget) == 16);

// Whether a flow that was given to `target` may stay there. `targets`: by id.
inline bool keeps_flows(std::span<const SnapshotTarget> targets, FlowTarget target) {
  return target.id < targets.size() &&
         std::bit_cast<uint32_t>(targets[target.id].keeps) == std::bit_cast<uint32_t>(target);
}

// The filled table of a service: target ids, kNoTarget everywhere where there is none. Shared between services (and
// between snapshots) whose tables would be equal.
using LookupTable = std::vector<uint16_t>;

struct SnapshotService {
  bool exists = false;
  OnEmpty on_empty = OnEmpty::drop;
  HashFields hash_fields = HashFields::five_tuple;
  uint16_t id = kNoService;
  uint32_t table_size = 0;
  Algorithm algorithm = Algorithm::maglev;
  std::shared_ptr<const LookupTable> table;
  std::vector<uint64_t> table_key;  // what the table was built from, besides size and algorithm
  FlowPolicy policy;                // timeouts and quotas in one worker's flow table
  std::string name;
  uint64_t table_digest = 0;  // table_digest()

  // The target for a flow with this steering hash; kNoTarget where the service has none that takes new flows.
  [[nodiscard]] uint16_t choose(uint64_t hash) const { return (*table)[slot(hash)]; }
  [[nodiscard]] uint32_t slot(uint64_t hash) const { return reduce(hash, table_size); }
  [[nodiscard]] bool is_empty() const { return table->front() == kNoTarget; }
  // How many targets take new flows.
  [[nodiscard]] size_t usable_targets() const { return table_key.size() / 2; }
};

struct Snapshot {
  uint64_t generation = 0;  // of the configuration
  uint64_t version = 0;     // of snapshots: one generation may be compiled again, as targets are found or lost
  uint64_t hash_seed = 0;
  bool any_draining = false;  // a miss must look into other workers' flow tables too
  VipTable vips;
  std::vector<SnapshotTarget> targets;    // by id
  std::vector<SnapshotService> services;  // by id
  Tier tier;                              // of balancers; may be none

  [[nodiscard]] bool keeps_flows(FlowTarget target) const { return xdplb::keeps_flows(targets, target); }

  // The steering hash: equal on every balancer that has the same seed, whatever its architecture.
  [[nodiscard]] uint64_t steering_hash(const FlowKey& key, HashFields fields) const {
    if (fields == HashFields::five_tuple) return hash_key(key, hash_seed);
    FlowKey reduced;
    reduced.src = key.src;
    if (fields == HashFields::addresses) reduced.dst = key.dst;
    return hash_key(reduced, hash_seed);
  }
};

// The number that stands for a target in the tables: its name, hashed with the steering seed.
uint64_t target_identity(const std::string& name, uint64_t hash_seed);

// A number, at most 2^53, that is equal where two balancers choose alike for the service: made from what the choice
// depends on, and not from ids, which each balancer gives out itself.
uint64_t table_digest(const SnapshotService& service);

// Compiles a validated Config. Tables equal to those of `previous` (may be null) are taken over instead of built
// again. `flows`: what one worker's flow table is made for, of which services have their shares.
std::unique_ptr<const Snapshot> compile_snapshot(const Config& config, uint64_t generation,
                                                 const Snapshot* previous = nullptr, uint32_t flows = kDefaultFlows);

}  // namespace xdplb
