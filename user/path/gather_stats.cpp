#include "user/path/gather_stats.h"

#include "user/base/clock.h"

namespace xdplb {
namespace {

std::vector<TargetStats> of_targets(const StatsSources& from, const std::vector<FlowReader>& tables) {
  std::vector<TargetStats> all;
  for (const Target& t : from.config.targets) {
    if (!t.has_mac() && !t.address) continue;
    const SnapshotTarget& compiled = from.snapshot.targets[t.id];
    TargetStats of{t.name, t.id, 0, 0, 0, t.effective_mac(), Reach::by_mac, 0};
    of.usable = compiled.state == TargetState::active && compiled.reachable;
    const auto followed = t.address ? from.neighbours.find(*t.address) : std::nullopt;
    if (followed) of.reach = followed->reach;
    for (const FlowReader& table : tables) of.flows += table.live_of_target({t.id, t.epoch});
    for (const auto& c : from.slots.counters) {
      of.packets += c->targets[t.id].packets.get();
      of.bytes += c->targets[t.id].bytes.get();
    }
    all.push_back(std::move(of));
  }
  return all;
}

std::vector<ServiceStats> of_services(const StatsSources& from, const std::vector<FlowReader>& tables) {
  std::vector<ServiceStats> all;
  for (const Service& s : from.config.services) {
    ServiceStats of;
    of.name = s.name;
    of.targets_usable = from.snapshot.services[s.id].usable_targets();
    of.targets_needed = s.need;
    of.table_digest = from.snapshot.services[s.id].table_digest;
    for (const FlowReader& table : tables) of.flows += table.live_of_service(s.id);
    for (const auto& c : from.slots.counters) {
      of.packets += c->services[s.id].packets.get();
      of.bytes += c->services[s.id].bytes.get();
      of.drops += c->service_drops[s.id].get();
    }
    all.push_back(std::move(of));
  }
  return all;
}

void add_counters(const WorkerCounters& c, WorkerStats& of) {
  of.rx = c.rx.get();
  of.tx = c.tx.get();
  of.held = c.held.get();
  of.to_peers = c.to_peers.get();
  of.from_peers = c.from_peers.get();
  for (const Counter& drop : c.drops) of.drops.push_back(drop.get());
  of.tx_live = c.tx_live.get();
  of.batches = c.batches.get();
  of.live_batches = c.live_batches.get();
  of.wakeups = c.wakeups.get();
  of.busy_ns = c.busy_ns.get();
  of.frames_total = c.frames_total.get();
  of.frames_free = c.frames_free.get();
}

void add_flows(const FlowReader& table, WorkerStats& of) {
  of.flows = table.counter(FlowCounter::live);
  of.flow_hits = table.counter(FlowCounter::hits);
  of.flow_misses = table.counter(FlowCounter::created);
  of.flows_high_water = table.counter(FlowCounter::high_water);
  of.flow_expired = table.counter(FlowCounter::expired);
  of.flow_refused_full = table.counter(FlowCounter::refused_full);
  of.flow_refused_quota = table.counter(FlowCounter::refused_quota);
  of.flow_refused_embryonic = table.counter(FlowCounter::refused_embryonic);
}

void add_kernel(const XskStatistics& kernel, WorkerStats& of) {
  of.kernel_rx_dropped = kernel.rx_dropped;
  of.kernel_rx_ring_full = kernel.rx_ring_full;
  of.kernel_rx_invalid = kernel.rx_invalid_descs;
  of.kernel_fill_empty = kernel.rx_fill_ring_empty;
  of.kernel_tx_invalid = kernel.tx_invalid_descs;
}

WorkerStats of_worker(const StatsSources& from, const std::vector<FlowReader>& tables, size_t w) {
  WorkerStats of;
  of.name = from.slots.holders[w].name;
  of.cpu = from.slots.holders[w].cpu;
  add_counters(*from.slots.counters[w], of);
  add_flows(tables[w], of);
  of.flows_max = from.flows_max;
  if (w < from.kernel.size()) add_kernel(from.kernel[w], of);
  return of;
}

}  // namespace

DaemonStats gather_stats(const StatsSources& from) {
  DaemonStats stats;
  stats.written_monotonic_ns = monotonic_ns();
  stats.reasons = reason_names();
  if (from.plane != nullptr) stats.program = from.plane->program_stats();
  const std::vector<FlowReader> tables = from.slots.flows->readers();
  stats.targets = of_targets(from, tables);
  stats.services = of_services(from, tables);
  stats.devices = from.devices;
  for (size_t w = 0; w < from.slots.counters.size(); ++w) stats.workers.push_back(of_worker(from, tables, w));
  return stats;
}

}  // namespace xdplb
