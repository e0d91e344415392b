// Which worker serves which queues: a pure function of the queues, so that odd devices need no hardware to be tested.
//
// A (device, queue) takes one socket of ours, so there are as many workers as there are queues on the narrower side:
// a worker has one egress queue of its own and one ingress queue or several.
#pragma once

#include <cstdint>
#include <vector>

#include "user/base/result.h"
#include "user/path/channels.h"

namespace xdplb {

struct WorkerShare {
  std::vector<uint32_t> ingress;  // indices into the list of ingress queues
  uint32_t egress_queue = 0;
  bool shared = false;  // one-arm: the first ingress port is the egress port, too
};

// Two-arm: `ingress_queues` queues of any devices, `egress_queues` of the egress device.
Result<std::vector<WorkerShare>> share_two_arm(uint32_t ingress_queues, uint32_t egress_queues);

// One-arm: the queues served, by number, of a device that transmits on its first `tx_queues` alone. A queue that has
// a transmit side is sent from by the worker that receives from it. Those without join the workers, each of which
// sends from its own, or from a transmit queue that is not served.
Result<std::vector<WorkerShare>> share_one_arm(const std::vector<uint32_t>& served, uint32_t tx_queues);

}  // namespace xdplb
