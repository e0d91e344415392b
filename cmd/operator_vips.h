// The VIPs that an operator put into the kernel's map by hand (bpftool), for `show` and `vip list`.
#pragma once

#include <string>
#include <vector>

#include "user/net/ip.h"

namespace xdplb {

// Of the xdp_vip programs attached to devices of this network namespace, and of the one pinned for `shm`. Empty where
// there are none, or where we may not look.
std::vector<IpAddr> list_operator_vips(const std::string& shm);

}  // namespace xdplb
