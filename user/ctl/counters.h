// What is counted, by name: one table for each kind of thing. `stats --json`, the statistics in shared memory and the
// metrics are made from these, so a new counter is one field of stats.h and one line here. Drop reasons have a table
// of their own, user/base/reasons.def.
//
// The order is that of the records in shared memory (a target's excepted): add at the end, remove nothing.
#pragma once

#include "user/ctl/stats.h"

namespace xdplb {

enum class CounterKind : uint8_t { counter, gauge };
enum class CounterUnit : uint8_t { one, nanoseconds };  // metrics give seconds

template <typename T>
struct CounterInfo {
  uint64_t T::*value;
  const char* name;    // in `stats --json`
  const char* metric;  // by Prometheus' conventions
  CounterKind kind;
  CounterUnit unit;
  const char* help;
};

#define XDPLB_COUNT(type, field, metric, help) \
  { &type::field, #field, metric, CounterKind::counter, CounterUnit::one, help }
#define XDPLB_GAUGE(type, field, metric, help) \
  { &type::field, #field, metric, CounterKind::gauge, CounterUnit::one, help }

inline constexpr CounterInfo<WorkerStats> kWorkerCounters[] = {
    XDPLB_COUNT(WorkerStats, rx, "xdplb_worker_received_packets_total", "Packets taken from the receive rings"),
    XDPLB_COUNT(WorkerStats, tx, "xdplb_worker_sent_packets_total", "Packets that the kernel took for transmission"),
    XDPLB_GAUGE(WorkerStats, held, "xdplb_worker_held_packets", "Fragments that wait for the first of their packet"),
    XDPLB_COUNT(WorkerStats, batches, "xdplb_worker_batches_total", "Turns that found packets"),
    XDPLB_COUNT(WorkerStats, wakeups, "xdplb_worker_wakeups_total", "Times that the worker slept in poll"),
    {&WorkerStats::busy_ns, "busy_ns", "xdplb_worker_busy_seconds_total", CounterKind::counter,
     CounterUnit::nanoseconds, "Time in turns that found packets, also when spinning"},
    XDPLB_GAUGE(WorkerStats, frames_total, "xdplb_worker_frames", "Packet buffers that the worker owns"),
    XDPLB_GAUGE(WorkerStats, frames_free, "xdplb_worker_frames_free", "Packet buffers that lie in the pool"),
    XDPLB_COUNT(WorkerStats, kernel_rx_dropped, "xdplb_worker_kernel_rx_dropped_packets_total",
                "Dropped by the kernel before the socket: no fill buffer, or longer than one"),
    XDPLB_COUNT(WorkerStats, kernel_rx_ring_full, "xdplb_worker_kernel_rx_ring_full_packets_total",
                "Dropped by the kernel: the receive ring was full, the worker too slow"),
    XDPLB_COUNT(WorkerStats, kernel_rx_invalid, "xdplb_worker_kernel_rx_invalid_descriptors_total",
                "Fill descriptors that the kernel refused"),
    XDPLB_COUNT(WorkerStats, kernel_fill_empty, "xdplb_worker_kernel_fill_ring_empty_total",
                "Times that the kernel found no buffer in the fill ring"),
    XDPLB_COUNT(WorkerStats, kernel_tx_invalid, "xdplb_worker_kernel_tx_invalid_descriptors_total",
                "Transmit descriptors that the kernel refused"),
    XDPLB_GAUGE(WorkerStats, flows, "xdplb_worker_flows", "Flows in the worker's table"),
    XDPLB_GAUGE(WorkerStats, flows_max, "xdplb_worker_flows_max", "Flows that the worker's table has room for"),
    XDPLB_COUNT(WorkerStats, flow_hits, "xdplb_worker_flow_hits_total", "Packets of flows that were in the table"),
    XDPLB_COUNT(WorkerStats, flow_misses, "xdplb_worker_flows_entered_total", "Flows entered into the table"),
    XDPLB_COUNT(WorkerStats, flow_refused_full, "xdplb_worker_flows_refused_full_total",
                "Flows not entered: no room near their place"),
    XDPLB_COUNT(WorkerStats, flow_refused_quota, "xdplb_worker_flows_refused_quota_total",
                "Flows not entered: the service's share of the table is used up"),
    XDPLB_COUNT(WorkerStats, flow_refused_embryonic, "xdplb_worker_flows_refused_embryonic_total",
                "Flows not entered: the service's share of flows that are a SYN only is used up"),
    XDPLB_COUNT(WorkerStats, to_peers, "xdplb_worker_fragments_to_peers_total",
                "Of the packets sent: fragments handed to the balancers that own them"),
    XDPLB_COUNT(WorkerStats, from_peers, "xdplb_worker_fragments_from_peers_total",
                "Of the packets received: fragments that other balancers handed over"),
    XDPLB_COUNT(WorkerStats, tx_live, "xdplb_worker_sent_live_packets_total",
                "Of the packets sent: as live frames, not through the transmit ring"),
    XDPLB_COUNT(WorkerStats, live_batches, "xdplb_worker_live_batches_total", "Calls that sent live frames"),
    XDPLB_GAUGE(WorkerStats, flows_high_water, "xdplb_worker_flows_high_water", "The most flows the table ever held"),
    XDPLB_COUNT(WorkerStats, flow_expired, "xdplb_worker_flows_expired_total", "Flows forgotten after their timeout"),
};

inline constexpr CounterInfo<TargetStats> kTargetCounters[] = {
    XDPLB_COUNT(TargetStats, packets, "xdplb_target_packets_total", "Packets sent to the target"),
    XDPLB_COUNT(TargetStats, bytes, "xdplb_target_bytes_total",
                "Bytes sent to the target, Ethernet headers included"),
    XDPLB_GAUGE(TargetStats, flows, "xdplb_target_flows", "Flows that the target has"),
    XDPLB_GAUGE(TargetStats, usable, "xdplb_target_usable", "1: takes new flows; 0: draining, down or unreachable"),
};

inline constexpr CounterInfo<ServiceStats> kServiceCounters[] = {
    XDPLB_COUNT(ServiceStats, packets, "xdplb_service_packets_total", "Packets sent for the service"),
    XDPLB_COUNT(ServiceStats, bytes, "xdplb_service_bytes_total",
                "Bytes sent for the service, Ethernet headers included"),
    XDPLB_COUNT(ServiceStats, drops, "xdplb_service_dropped_packets_total",
                "Packets for the service that were dropped"),
    XDPLB_GAUGE(ServiceStats, flows, "xdplb_service_flows", "Flows of the service"),
    XDPLB_GAUGE(ServiceStats, targets_usable, "xdplb_service_targets_usable", "Targets that take new flows"),
    XDPLB_GAUGE(ServiceStats, targets_needed, "xdplb_service_targets_needed",
                "Usable targets below which the balancer is not ready"),
    XDPLB_GAUGE(ServiceStats, table_digest, "xdplb_service_table_digest",
                "Equal on two balancers that choose the same targets"),
};

inline constexpr CounterInfo<DeviceStats> kDeviceCounters[] = {
    XDPLB_COUNT(DeviceStats, rx_dropped, "xdplb_device_receive_dropped_packets_total",
                "Dropped by device or driver on receive"),
    XDPLB_COUNT(DeviceStats, rx_missed, "xdplb_device_receive_missed_packets_total",
                "Missed by the device: its queues were full"),
    XDPLB_COUNT(DeviceStats, rx_errors, "xdplb_device_receive_errors_total", "Bad packets received"),
    XDPLB_COUNT(DeviceStats, tx_dropped, "xdplb_device_transmit_dropped_packets_total",
                "Dropped by device or driver on transmit"),
};

inline constexpr CounterInfo<ProgramStats> kProgramCounters[] = {
    XDPLB_COUNT(ProgramStats, unarmed, "unarmed", "on a queue or device that nobody serves"),
    XDPLB_COUNT(ProgramStats, no_socket, "no_socket", "the queue's socket was gone"),
    XDPLB_COUNT(ProgramStats, stale, "stale", "the queue's worker gave no sign of life"),
    XDPLB_COUNT(ProgramStats, other_port, "other_port", "no service listens there"),
};

#undef XDPLB_COUNT
#undef XDPLB_GAUGE

}  // namespace xdplb
