#include "cmd/live_flows.h"

#include "user/ctl/stats_segment.h"

namespace xdplb {

LiveTargets live_targets(const ConfigStore& store) {
  LiveTargets live;
  if (!store.daemon_running()) return live;
  const auto stats = read_stats(store.name());
  if (!stats) return live;
  for (const TargetStats& target : stats->targets) live[target.name] = target;
  return live;
}

std::map<std::string, uint64_t> live_flows(const ConfigStore& store) {
  std::map<std::string, uint64_t> flows;
  for (const auto& [name, target] : live_targets(store)) flows[name] = target.flows;
  return flows;
}

Result<std::vector<FlowTally>> tally_flows(const std::string& shm) {
  const auto name = ShmName::parse(shm);
  if (!name) return name.error();
  return ask_flow_tallies(control_socket_path(name->text()));
}

}  // namespace xdplb
