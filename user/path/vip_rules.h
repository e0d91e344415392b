// What the kernel program is to be told of the VIPs of a configuration.
#pragma once

#include "user/lb/config.h"
#include "user/path/bpf_maps.h"

namespace xdplb {

// Where services share a VIP, its fallback is PASS only if that is so for all of them, and it takes the ports of all
// of them. A service with on_empty "pass" that has no usable target takes part in nothing: its ports, and the VIP
// itself where no other service has it, are the kernel's until it has a target again. A draining target is usable:
// the flows that it still has outrank new ones that could pass.
KernelVips kernel_vips(const Config& config);

// Whether some target of the service may get packets.
[[nodiscard]] bool has_usable_target(const Config& config, const Service& service);

}  // namespace xdplb
