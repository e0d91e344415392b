// What is odd about a configuration that is valid: `xdplb check` says it. Pure; cold path.
#pragma once

#include <string>
#include <vector>

#include "user/lb/config.h"

namespace xdplb {

struct ConfigWarning {
  std::string path;  // as in errors: `targets[3]`
  std::string text;
};

// Targets that no service uses; services without VIP, without a usable target, or with fewer than they need; tables
// too small for their targets; services of which one takes what a wider one would get without it.
std::vector<ConfigWarning> config_warnings(const Config& config);

}  // namespace xdplb
