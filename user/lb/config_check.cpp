#include "user/lb/config_check.h"

#include <netinet/in.h>

#include <algorithm>
#include <map>
#include <set>

#include "user/lb/vip_table.h"

namespace xdplb {
namespace {

using Warnings = std::vector<ConfigWarning>;

constexpr uint32_t kEntriesPerTarget = 100;  // fewer, and shares differ by more than a hundredth

void check_unused(const Config& config, Warnings& warnings) {
  std::vector<bool> used(config.targets.size(), false);
  for (const Service& service : config.services) {
    for (const TargetUse& use : service.targets) used[use.target] = true;
  }
  for (size_t i = 0; i < config.targets.size(); ++i) {
    if (used[i]) continue;
    warnings.push_back({fmt::format("targets[{}]", i),
                        fmt::format("target \"{}\" is in no service: it takes nothing", config.targets[i].name)});
  }
}

void check_service(const Config& config, size_t index, Warnings& warnings) {
  const Service& service = config.services[index];
  const std::string path = fmt::format("services[{}]", index);
  const size_t usable = count_usable_targets(config, service);
  if (service.vips.empty() && !service.is_default) {
    warnings.push_back({path, fmt::format("service \"{}\" has no VIP: it gets nothing", service.name)});
  }
  if (usable == 0) {
    warnings.push_back(
        {path + ".targets", fmt::format("service \"{}\" has no usable target: its packets are {}", service.name,
                                        service.on_empty == OnEmpty::pass ? "passed" : "dropped")});
  } else if (usable < service.need) {
    warnings.push_back({path + ".need", fmt::format("service \"{}\" needs {} usable targets and has {}: not ready",
                                                    service.name, service.need, usable)});
  }
  if (service.table_size < kEntriesPerTarget * usable) {
    warnings.push_back(
        {path + ".table_size", fmt::format("a table of {} for {} targets spreads unevenly; take {} or more",
                                           service.table_size, usable, kEntriesPerTarget * usable)});
  }
}

bool has_whole(const Listen& listen) {
  return listen.ports.empty();
}

// Whether some packet could be meant by both.
bool can_meet(const Listen& a, const Listen& b) {
  if (a.protocol == kAnyProtocol || b.protocol == kAnyProtocol) return true;
  if (a.protocol != b.protocol) return false;
  if (has_whole(a) || has_whole(b)) return true;
  for (const PortRange& x : a.ports) {
    for (const PortRange& y : b.ports) {
      if (x.first <= y.last && y.first <= x.last) return true;
    }
  }
  return false;
}

bool can_meet(const Service& a, const Service& b) {
  static const std::vector<Listen> kEverything(1);
  const auto& of_a = a.listen.empty() ? kEverything : a.listen;
  const auto& of_b = b.listen.empty() ? kEverything : b.listen;
  return std::any_of(of_a.begin(), of_a.end(), [&](const Listen& x) {
    return std::any_of(of_b.begin(), of_b.end(), [&](const Listen& y) { return can_meet(x, y); });
  });
}

// Overlaps that are no error, since the more specific one wins: each pair of services once.
void check_overlaps(const Config& config, Warnings& warnings) {
  std::map<IpPrefix, std::vector<size_t>> services_of;
  for (size_t s = 0; s < config.services.size(); ++s) {
    for (const IpPrefix& vip : config.services[s].vips) services_of[vip].push_back(s);
  }
  std::set<std::pair<size_t, size_t>> said;
  for (const auto& [vip, inner] : services_of) {
    for (int len = vip.len; len >= 0; --len) {
      const auto bits = static_cast<uint8_t>(len);
      const auto around = services_of.find(IpPrefix{mask_addr(vip.addr, bits), bits});
      if (around == services_of.end()) continue;
      for (const size_t a : inner) {
        for (const size_t b : around->second) {
          if (a == b || (bits == vip.len && a > b)) continue;
          const Service &one = config.services[a], &other = config.services[b];
          if (!can_meet(one, other) || !said.insert(std::minmax(a, b)).second) continue;
          warnings.push_back(
              {fmt::format("services[{}].vips", a),
               fmt::format("services \"{}\" and \"{}\" overlap on {}: the longer prefix wins, then the "
                           "narrower range of ports, then a protocol over any",
                           one.name, other.name, to_string(vip))});
        }
      }
    }
  }
}

}  // namespace

Warnings config_warnings(const Config& config) {
  Warnings warnings;
  check_unused(config, warnings);
  for (size_t i = 0; i < config.services.size(); ++i) check_service(config, i, warnings);
  check_overlaps(config, warnings);
  return warnings;
}

}  // namespace xdplb
