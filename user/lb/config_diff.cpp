#include "user/lb/config_diff.h"

#include <algorithm>
#include <map>

namespace xdplb {
namespace {

std::string state_text(const Target& target) {
  if (!target.has_mac()) return target.address ? "not resolved" : "unused";
  switch (target.state) {
    case TargetState::active: return target.weight == 0 ? "draining" : "active";
    case TargetState::draining: return "draining";
    case TargetState::down: return "down";
  }
  return "invalid";
}

template <typename Item>
std::map<std::string, const Item*> by_name(const std::vector<Item>& items) {
  std::map<std::string, const Item*> map;
  for (const Item& item : items) map[item.name] = &item;
  return map;
}

void compare_targets(const Target& was, const Target& is, std::vector<std::string>& lines) {
  if (state_text(was) != state_text(is)) {
    lines.push_back(fmt::format("target [{}] is {} (was {})", is.name, state_text(is), state_text(was)));
  }
  if (was.mac != is.mac && is.has_mac())
    lines.push_back(fmt::format("target [{}] has MAC {}", is.name, to_string(is.mac)));
  if (was.weight != is.weight) {
    lines.push_back(fmt::format("target [{}] has weight {} (was {})", is.name, is.weight, was.weight));
  }
}

void compare_services(const Service& was, const Service& is, std::vector<std::string>& lines) {
  for (const IpPrefix& vip : is.vips) {
    if (std::find(was.vips.begin(), was.vips.end(), vip) == was.vips.end()) {
      lines.push_back(fmt::format("service [{}]: VIP {} added", is.name, to_string(vip)));
    }
  }
  for (const IpPrefix& vip : was.vips) {
    if (std::find(is.vips.begin(), is.vips.end(), vip) == is.vips.end()) {
      lines.push_back(fmt::format("service [{}]: VIP {} removed", is.name, to_string(vip)));
    }
  }
  Service rest = was;
  rest.vips = is.vips;
  if (!(rest == is)) lines.push_back(fmt::format("service [{}]: changed", is.name));
}

}  // namespace

std::vector<std::string> describe_changes(const Config& before, const Config& after) {
  std::vector<std::string> lines;
  const auto targets_before = by_name(before.targets), targets_after = by_name(after.targets);
  for (const auto& [name, target] : targets_after) {
    const auto was = targets_before.find(name);
    if (was != targets_before.end()) {
      compare_targets(*was->second, *target, lines);
    } else if (target->has_mac() || target->address) {
      lines.push_back(fmt::format("target [{}] added, {}", name, state_text(*target)));
    }
  }
  for (const auto& [name, target] : targets_before) {
    if (targets_after.count(name) == 0) lines.push_back(fmt::format("target [{}] removed", name));
  }
  const auto services_before = by_name(before.services), services_after = by_name(after.services);
  for (const auto& [name, service] : services_after) {
    const auto was = services_before.find(name);
    if (was == services_before.end()) {
      lines.push_back(fmt::format("service [{}] added", name));
    } else {
      compare_services(*was->second, *service, lines);
    }
  }
  for (const auto& [name, service] : services_before) {
    if (services_after.count(name) == 0) lines.push_back(fmt::format("service [{}] removed", name));
  }
  if (!(before.lb_tier == after.lb_tier)) lines.push_back("lb_tier: changed");
  if (before.hash_seed != after.hash_seed) {
    lines.push_back(
        fmt::format("hash seed {} (was {}): new flows choose other targets", after.hash_seed, before.hash_seed));
  }
  return lines;
}

}  // namespace xdplb
