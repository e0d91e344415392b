// What differs between two configurations, in words: for the daemon's log and for `plan`. Cold path.
#pragma once

#include <string>
#include <vector>

#include "user/lb/config.h"

namespace xdplb {

// "active", "down by hand", "unused" (neither MAC nor address).
std::string target_state_text(const Target& target);

// One line for each thing that changed: "target [3] is down (was active)", "service [web]: VIP 10.0.0.1/32 added".
// Targets without a MAC that stay down (the unused indices of `init`) are not mentioned.
std::vector<std::string> describe_changes(const Config& before, const Config& after);

}  // namespace xdplb
