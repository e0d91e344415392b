// What the running daemon knows of its targets: how many flows each has (counted every 50 ms), and where it is.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "user/ctl/flow_wire.h"
#include "user/ctl/shared_memory.h"
#include "user/ctl/stats.h"

namespace xdplb {

// By target name; empty where no daemon runs. A flow counts until its timeout has passed and it was swept away.
using LiveTargets = std::map<std::string, TargetStats>;
LiveTargets live_targets(const ConfigStore& store);
std::map<std::string, uint64_t> live_flows(const ConfigStore& store);

// How many flows each service has with each target and VIP, counted by the running daemon now. Error where none
// answers.
Result<std::vector<FlowTally>> tally_flows(const std::string& shm);

}  // namespace xdplb
