// Which addresses must not become VIPs, because the host would be cut off or its neighbours harmed.
#pragma once

#include <string_view>
#include <vector>

#include "user/base/result.h"
#include "user/ctl/netlink.h"
#include "user/net/ip.h"

namespace xdplb {

// Without the host's own state: unspecified, loopback, link-local, multicast, broadcast, everything.
Result<void> check_vip_range(const IpPrefix& vip);
// Against addresses and next hops of the host.
Result<void> check_vip_host(const IpPrefix& vip, const std::vector<LinkAddress>& own,
                            const std::vector<Gateway>& gateways);
// Both, with what the kernel says now.
Result<void> check_vips_are_harmless(const std::vector<IpPrefix>& vips);

}  // namespace xdplb
