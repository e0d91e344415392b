// The daemon's statistics as plain values: what it publishes, what `stats` prints. Counters only grow while the
// daemon lives. Any thread; copied freely.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "user/lb/neighbour_watch.h"
#include "user/net/mac.h"

namespace xdplb {

struct WorkerStats {
  std::string name;  // which queues it serves: "eth2/0" or "eth2/0,1"
  uint32_t cpu = 0;
  uint64_t rx = 0;       // descriptors taken from RX rings
  uint64_t tx = 0;       // frames handed to the kernel for transmit and accepted
  uint64_t tx_live = 0;  // of tx: as live frames, in live_batches calls; the rest through the TX ring
  uint64_t live_batches = 0;
  uint64_t held = 0;            // inside: not yet tx nor dropped. rx == tx + sum(drops) + held
  std::vector<uint64_t> drops;  // by DaemonStats::reasons
  uint64_t batches = 0;         // turns that found packets
  uint64_t wakeups = 0;         // system calls on sockets: poll, sendto
  uint64_t busy_ns = 0;         // time in turns that found packets
  uint64_t frames_total = 0;    // frames that the worker owns, and how many of them lie idle in its pool
  uint64_t frames_free = 0;
  // The kernel's own counters of the sockets (XDP_STATISTICS), beside the sum.
  uint64_t kernel_rx_dropped = 0;
  uint64_t kernel_rx_ring_full = 0;
  uint64_t kernel_rx_invalid = 0;
  uint64_t kernel_fill_empty = 0;
  uint64_t kernel_tx_invalid = 0;
  uint64_t flows = 0;      // entries of its flow table in use
  uint64_t flows_max = 0;  // size of it
  uint64_t flow_hits = 0;
  uint64_t flow_misses = 0;
  // New flows that were not entered: no room, the service's share used up, its share of flows that are a SYN only.
  uint64_t flow_refused_full = 0;
  uint64_t flow_refused_quota = 0;
  uint64_t flow_refused_embryonic = 0;
  uint64_t to_peers = 0;          // of tx: fragments handed to the balancers of the tier that own them
  uint64_t from_peers = 0;        // of rx: fragments that they handed to us
  uint64_t flows_high_water = 0;  // the most entries that were in use at once
  uint64_t flow_expired = 0;      // forgotten after their timeout

  friend bool operator==(const WorkerStats&, const WorkerStats&) = default;
};

struct TargetStats {
  std::string name;
  uint32_t id = 0;
  uint64_t packets = 0;
  uint64_t bytes = 0;
  uint64_t flows = 0;
  MacAddr mac;  // in use; zero: none
  Reach reach = Reach::by_mac;
  uint64_t usable = 0;  // 1: takes new flows
  friend bool operator==(const TargetStats&, const TargetStats&) = default;
};

struct ServiceStats {
  std::string name;
  uint64_t packets = 0;
  uint64_t bytes = 0;
  uint64_t drops = 0;
  uint64_t flows = 0;
  uint64_t targets_usable = 0;  // that take new flows
  uint64_t targets_needed = 0;  // for the balancer to be ready
  uint64_t table_digest = 0;    // equal where two balancers choose alike
  friend bool operator==(const ServiceStats&, const ServiceStats&) = default;
};

// Counters of a network device, since ever.
struct DeviceStats {
  std::string name;
  uint64_t rx_dropped = 0;
  uint64_t rx_missed = 0;  // its queues were full
  uint64_t rx_errors = 0;
  uint64_t tx_dropped = 0;
  friend bool operator==(const DeviceStats&, const DeviceStats&) = default;
};

// Packets for a VIP that the kernel program did not hand to a worker. All but the last took the VIP's fallback
// action.
struct ProgramStats {
  uint64_t unarmed = 0;     // came in on a device or queue that nobody serves
  uint64_t no_socket = 0;   // the queue's socket is gone
  uint64_t stale = 0;       // the queue's worker gave no sign of life
  uint64_t other_port = 0;  // no service listens there: passed to the kernel
  friend bool operator==(const ProgramStats&, const ProgramStats&) = default;
};

struct DaemonStats {
  uint32_t pid = 0;
  uint64_t started_realtime_ns = 0;   // CLOCK_REALTIME
  uint64_t written_monotonic_ns = 0;  // CLOCK_MONOTONIC, when these values were gathered
  uint64_t generation = 0;            // of the configuration that the workers use
  // How it runs, in words: {"mode", "native"}, {"zero-copy", "off: ..."}, ... in the order to print.
  std::vector<std::pair<std::string, std::string>> modes;
  ProgramStats program;
  uint64_t egress_dropped = 0;  // by the egress device itself since the daemon started, after it took them: of tx
  std::vector<std::string> reasons;  // names of the drop counters
  std::vector<WorkerStats> workers;
  std::vector<TargetStats> targets;
  std::vector<ServiceStats> services;
  std::vector<DeviceStats> devices;  // ingress, then egress
  friend bool operator==(const DaemonStats&, const DaemonStats&) = default;
};

// The names of user/base/reasons.def, for DaemonStats::reasons. Index 0 ("none") is always zero.
std::vector<std::string> reason_names();

// One JSON object: the fields above by their names, `drops` by reason, and the sums over the workers as `total`.
std::string stats_to_json(const DaemonStats& stats);
// For people: aligned, without the drop reasons that are zero.
std::string stats_to_text(const DaemonStats& stats);

}  // namespace xdplb
