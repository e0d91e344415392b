// What `xdplb lb` is asked to do, checked for form by cmd/lb; whether the devices can do it is found out at set-up.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "umem/xsk_socket.h"
#include "user/ctl/event_loop.h"
#include "user/lb/flow_geometry.h"
#include "user/net/flow_key_text.h"
#include "user/net/mac.h"
#include "user/path/worker_thread.h"
#include "user/path/xdp_attach.h"

namespace xdplb {

enum class ChecksumChoice : uint8_t { automatic, complete, none };

struct LbOptions {
  std::string shm = "xdplb";
  std::string config;                // a configuration file; empty: what the commands put into the shared memory
  std::vector<std::string> ingress;  // --idev; the members of a bond
  std::string egress;                // --edev; the same as the only --idev: one-arm
  std::vector<uint32_t> queues;      // of each ingress device; empty: all
  std::vector<int> cpus;             // for the workers, in turn; empty: all that we may use
  XdpModeChoice mode = XdpModeChoice::automatic;
  ZeroCopy zero_copy = ZeroCopy::automatic;
  WaitOptions wait;
  TxChoice tx = TxChoice::automatic;
  ChecksumChoice checksum = ChecksumChoice::automatic;
  uint32_t rx_ring = 0;             // entries, also of the fill ring; 0: by the number of queues (umem/sizing.h)
  uint32_t tx_ring = 0;             // entries, also of the completion ring
  uint32_t batch = 2048;            // packets
  uint32_t flows = kDefaultFlows;   // per worker
  std::vector<MacAddr> lb_tier;     // ingress MACs of the balancers that share fragments; empty: as configured
  std::string pin_dir;              // empty: derived from shm
  uint32_t heartbeat_ms = 1000;     // age at which a worker counts as hung; 0: off
  std::optional<Endpoint> metrics;  // where to serve them
  uint64_t grace_ns = 0;            // from the first signal to the end; 0: none
  LoopBackend event_loop = LoopBackend::automatic;
};

}  // namespace xdplb
