// What `show` says of a configuration that came from a file: where from, and its services with their targets.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "user/lb/config.h"

namespace xdplb {

// `flows`: live ones by target (cmd/live_flows.h). Nothing where no file is in force.
void print_services(const Config& config, const std::map<std::string, uint64_t>& flows);
nlohmann::ordered_json services_to_json(const Config& config, const std::map<std::string, uint64_t>& flows);

// "active", "down by hand; the file says active"
std::string state_and_mark(const Target& target);

}  // namespace xdplb
