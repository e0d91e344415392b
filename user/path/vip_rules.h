// What the kernel program is to be told of the VIPs of a configuration.
#pragma once

#include "user/lb/config.h"
#include "user/path/bpf_maps.h"

namespace xdplb {

// Where services share a VIP, it passes only if all of them would.
VipRules vip_rules(const Config& config);

}  // namespace xdplb
