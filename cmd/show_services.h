// What `show` says of a configuration that came from a file: where from, and its services with their targets.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cmd/live_flows.h"
#include "user/lb/config.h"

namespace xdplb {

// With what the daemon knows of the targets, if one runs. Nothing where no file is in force.
void print_services(const Config& config, const LiveTargets& live);
nlohmann::ordered_json services_to_json(const Config& config, const LiveTargets& live);

// "active", "down by hand; the file says active"
std::string state_and_mark(const Target& target);

}  // namespace xdplb
