// What a worker does for the tier: two stages beside those of user/path/stages.h. A fragment whose datagram another
// balancer owns (user/lb/tier.h) leaves through the port that it came in by, to that balancer's ingress MAC, as it
// came but for the two addresses. Our own MAC as its source tells the other that it must not hand it on.
#pragma once

#include "user/path/stages.h"

namespace xdplb {

// After parse, for packets fresh from a port: those that others own get Fate::peer.
void choose_balancers(const Snapshot& snapshot, TierMask live, Batch& batch, WorkerCounters& counters);

// Before transmit. What the port has no room for becomes a drop, which transmit counts.
void send_to_peers(const Snapshot& snapshot, Port& ingress, Batch& batch, WorkerCounters& counters);

}  // namespace xdplb
