// Steering: which target gets a packet. Plain loops over the columns of a batch, one per step; a step over the batch
// is the prefetch distance of the next. Called by the worker that owns the batch; no step allocates, locks or calls
// out.
//
// The steps, in order: match_services, choose_targets. A packet that a step drops keeps the Reason; the steps after
// it pass over it.
#pragma once

#include <cstdint>

#include "user/base/limits.h"
#include "user/base/reason.h"
#include "user/lb/snapshot.h"
#include "user/net/parse.h"

namespace xdplb {

// What is known of each packet of a batch, by column: filled from parsing on, step by step.
struct PacketColumns {
  PacketInfo info[kMaxBatch];
  uint16_t service[kMaxBatch];
  uint16_t target[kMaxBatch];
  Reason reason[kMaxBatch];
};

// By destination, protocol and port; ICMP and fragments by their own rules. Sets `service`, or drops with no_service.
void match_services(const Snapshot& snapshot, PacketColumns& packets, uint32_t count);

// By the service's table. Sets `target`, or drops with no_target.
void choose_targets(const Snapshot& snapshot, PacketColumns& packets, uint32_t count);

}  // namespace xdplb
