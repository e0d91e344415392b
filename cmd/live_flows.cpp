#include "cmd/live_flows.h"

#include "user/ctl/stats_segment.h"

namespace xdplb {

std::map<std::string, uint64_t> live_flows(const ConfigStore& store) {
  std::map<std::string, uint64_t> flows;
  if (!store.daemon_running()) return flows;
  const auto stats = read_stats(store.name());
  if (!stats) return flows;
  for (const TargetStats& target : stats->targets) flows[target.name] = target.flows;
  return flows;
}

Result<std::vector<FlowTally>> tally_flows(const std::string& shm) {
  const auto name = ShmName::parse(shm);
  if (!name) return name.error();
  return ask_flow_tallies(control_socket_path(name->text()));
}

}  // namespace xdplb
