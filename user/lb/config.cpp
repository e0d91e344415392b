#include "user/lb/config.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <vector>

namespace xdplb {
namespace {

// Hands out the lowest ids that are not taken.
class FreeIds {
 public:
  FreeIds(uint32_t ids_max, const std::vector<bool>& taken) : ids_max_(ids_max), taken_(taken) {}

  // ids_max where there is none left.
  uint32_t next() {
    while (candidate_ < ids_max_ && candidate_ < taken_.size() && taken_[candidate_]) ++candidate_;
    return candidate_ < ids_max_ ? candidate_++ : ids_max_;
  }

 private:
  uint32_t ids_max_;
  const std::vector<bool>& taken_;
  uint32_t candidate_ = 0;
};

// Copies what `keep` takes over for names that stay, marks their ids, and returns the positions of new names.
template <typename Item, typename Keep>
std::vector<size_t> keep_identities(const std::vector<Item>& previous, std::vector<Item>& next,
                                    std::vector<bool>& taken, Keep keep) {
  std::unordered_map<std::string_view, const Item*> by_name;
  for (const Item& item : previous) by_name.emplace(item.name, &item);
  std::vector<size_t> fresh;
  for (size_t i = 0; i < next.size(); ++i) {
    const auto known = by_name.find(next[i].name);
    if (known == by_name.end()) {
      fresh.push_back(i);
      continue;
    }
    keep(*known->second, next[i]);
    if (taken.size() <= next[i].id) taken.resize(next[i].id + 1u);
    taken[next[i].id] = true;
  }
  return fresh;
}

}  // namespace

Config make_default_config(uint32_t table_size, uint32_t targets) {
  Config config;
  Service service;
  service.name = kDefaultServiceName;
  service.is_default = true;
  service.table_size = table_size;
  for (uint32_t i = 0; i < targets; ++i) {
    Target target;
    target.name = std::to_string(i);
    target.state = TargetState::down;
    config.targets.push_back(std::move(target));
    service.targets.push_back(TargetUse{i, std::nullopt});
  }
  config.services.push_back(std::move(service));
  // Cannot fail: the ids suffice for any number of targets that validate_config lets through, and what it does not
  // let through never gets far enough to need them.
  [[maybe_unused]] const Result<void> assigned = assign_identities(Config{}, config);
  return config;
}

Result<void> assign_identities(const Config& previous, Config& next) {
  if (next.targets.size() > kMaxTargets) {
    return fail("targets: {} are too many, at most {}", next.targets.size(), kMaxTargets);
  }
  if (next.services.size() > kMaxServices) {
    return fail("services: {} are too many, at most {}", next.services.size(), kMaxServices);
  }
  next.last_epoch = previous.last_epoch;

  std::vector<bool> target_ids;
  const auto new_targets =
      keep_identities(previous.targets, next.targets, target_ids, [](const Target& o, Target& n) {
        n.id = o.id;
        n.epoch = o.epoch;
      });
  if (!new_targets.empty()) ++next.last_epoch;
  FreeIds free_targets(kMaxTargets, target_ids);
  for (const size_t i : new_targets) {
    next.targets[i].id = static_cast<uint16_t>(free_targets.next());
    next.targets[i].epoch = next.last_epoch;
  }

  std::vector<bool> service_ids;
  const auto new_services = keep_identities(previous.services, next.services, service_ids,
                                            [](const Service& o, Service& n) { n.id = o.id; });
  FreeIds free_services(kMaxServices, service_ids);
  for (const size_t i : new_services) next.services[i].id = static_cast<uint16_t>(free_services.next());
  return {};
}

bool takes_new_flows(const Config& config, const TargetUse& use) {
  const Target& target = config.targets[use.target];
  // A target that drains by its own weight takes nothing in any service.
  return target.effective_state() == TargetState::active && target.weight != 0 &&
         use.weight.value_or(target.weight) != 0 && (target.has_mac() || target.address);
}

size_t count_usable_targets(const Config& config, const Service& service) {
  return static_cast<size_t>(std::count_if(service.targets.begin(), service.targets.end(),
                                           [&](const TargetUse& use) { return takes_new_flows(config, use); }));
}

std::vector<bool> targets_set_up_by_hand(const Config& config) {
  if (config.origin.file.empty()) return std::vector<bool>(config.targets.size(), true);
  std::vector<bool> by_hand(config.targets.size(), false);
  if (config.origin.names_default) return by_hand;
  if (const Service* service = default_service(config)) {
    for (const TargetUse& use : service->targets) by_hand[use.target] = true;
  }
  for (const Service& service : config.services) {
    if (service.is_default) continue;
    for (const TargetUse& use : service.targets) by_hand[use.target] = false;
  }
  return by_hand;
}

bool falls_back_to_pass(const Service& service, const IpPrefix& vip) {
  return service.fallback_pass ||
         std::find(service.pass_vips.begin(), service.pass_vips.end(), vip) != service.pass_vips.end();
}

const Service* find_service(const Config& config, std::string_view name) {
  const auto found = std::find_if(config.services.begin(), config.services.end(),
                                  [&](const Service& service) { return service.name == name; });
  return found == config.services.end() ? nullptr : &*found;
}

const Service* default_service(const Config& config) {
  const auto found = std::find_if(config.services.begin(), config.services.end(),
                                  [](const Service& service) { return service.is_default; });
  return found == config.services.end() ? nullptr : &*found;
}

Service* default_service(Config& config) {
  return const_cast<Service*>(default_service(static_cast<const Config&>(config)));
}

}  // namespace xdplb
