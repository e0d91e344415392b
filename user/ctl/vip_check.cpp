#include "user/ctl/vip_check.h"

#include <algorithm>

namespace xdplb {
namespace {

struct Special {
  std::string_view prefix;
  std::string_view what;
};

constexpr Special kSpecial[] = {
    {"0.0.0.0/32", "the unspecified address"},
    {"::/128", "the unspecified address"},
    {"127.0.0.0/8", "loopback"},
    {"::1/128", "loopback"},
    {"169.254.0.0/16", "link-local"},
    {"fe80::/10", "link-local: neighbour discovery needs it"},
    {"224.0.0.0/4", "multicast"},
    {"ff00::/8", "multicast: neighbour discovery needs it"},
    {"255.255.255.255/32", "broadcast: DHCP needs it"},
};

}  // namespace

Result<void> check_vip_range(const IpPrefix& vip) {
  if (vip.len == kV4PrefixBits && vip.addr.is_v4()) {
    return fail("{} would take every packet of this host", to_string(vip));
  }
  if (vip.len == 0) return fail("{} would take every packet of this host", to_string(vip));
  const auto all_v4 = parse_prefix("0.0.0.0/0");
  if (!all_v4) return all_v4.error();
  if (vip.len < kV4PrefixBits && vip.contains(all_v4->addr)) {
    return fail("{} contains ::ffff:0:0/96, which stands for all of IPv4", to_string(vip));
  }
  for (const Special& special : kSpecial) {
    const auto range = parse_prefix(special.prefix);
    if (!range) return range.error();
    if (range->contains(vip.addr) && range->len <= vip.len) {
      return fail("{} is {}", to_string(vip), special.what);
    }
    if (vip.contains(range->addr) && vip.len < range->len) {
      return fail("{} contains {} ({})", to_string(vip), special.prefix, special.what);
    }
  }
  return {};
}

Result<void> check_vip_host(const IpPrefix& vip, const std::vector<LinkAddress>& own,
                            const std::vector<Gateway>& gateways) {
  for (const LinkAddress& address : own) {
    if (!vip.contains(address.prefix.addr)) continue;
    const std::string ours = to_string(address.prefix.addr);
    return fail("{} would cut the host off from its own address {}: it must not be an address of the balancer",
                to_string(vip), ours);
  }
  for (const Gateway& gateway : gateways) {
    if (!vip.contains(gateway.address)) continue;
    return fail("{} would cut the host off from its gateway {}", to_string(vip), to_string(gateway.address));
  }
  return {};
}

Result<void> check_vips_are_harmless(const std::vector<IpPrefix>& vips) {
  const auto own = list_addresses();
  if (!own) return own.error();
  const auto gateways = list_gateways();
  if (!gateways) return gateways.error();
  for (const IpPrefix& vip : vips) {
    if (auto ok = check_vip_range(vip); !ok) return ok;
    if (auto ok = check_vip_host(vip, *own, *gateways); !ok) return ok;
  }
  return {};
}

}  // namespace xdplb
