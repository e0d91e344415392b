#include "user/path/vip_rules.h"

namespace xdplb {

VipRules vip_rules(const Config& config) {
  VipRules rules;
  for (const Service& service : config.services) {
    for (const IpPrefix& vip : service.vips) {
      VipRule rule;
      const bool pass = falls_back_to_pass(service, vip);
      rule.fallback = pass ? XDPLB_FALLBACK_PASS : XDPLB_FALLBACK_DROP;
      const auto [it, added] = rules.try_emplace(vip, rule);
      if (!added && !pass) it->second.fallback = XDPLB_FALLBACK_DROP;
    }
  }
  return rules;
}

}  // namespace xdplb
