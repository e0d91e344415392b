#include "user/lb/config_diff.h"

#include <algorithm>
#include <map>

namespace xdplb {
namespace {

// As the indices of `init` are at first.
bool is_unused(const Target& target) {
  return !target.has_mac() && !target.address;
}

template <typename Item>
std::map<std::string, const Item*> by_name(const std::vector<Item>& items) {
  std::map<std::string, const Item*> map;
  for (const Item& item : items) map[item.name] = &item;
  return map;
}

std::string address_text(const Target& target) {
  return target.address ? to_string(*target.address) : "none";
}

void compare_targets(const Target& was, const Target& is, std::vector<std::string>& lines) {
  if (target_state_text(was) != target_state_text(is)) {
    lines.push_back(
        fmt::format("target [{}] is {} (was {})", is.name, target_state_text(is), target_state_text(was)));
  } else if (was.state != is.state) {
    Target file = is;
    file.by_hand.reset();
    lines.push_back(fmt::format("target [{}] stays {}; the file says {} now", is.name, target_state_text(is),
                                target_state_text(file)));
  }
  if (was.effective_mac() != is.effective_mac() && is.has_mac()) {
    lines.push_back(fmt::format("target [{}] has MAC {}", is.name, to_string(is.effective_mac())));
  }
  if (was.address != is.address) {
    lines.push_back(fmt::format("target [{}] has address {} (was {})", is.name, address_text(is), address_text(was)));
  }
  if (was.weight != is.weight) {
    lines.push_back(fmt::format("target [{}] has weight {} (was {})", is.name, is.weight, was.weight));
  }
  if (was.unreachable != is.unreachable) {
    lines.push_back(fmt::format("target [{}] is {} while it does not answer", is.name,
                                is.unreachable == Unreachable::keep ? "kept" : "taken out"));
  }
}

// The lines of one service.
class ServiceDiff {
 public:
  ServiceDiff(const Config& before, const Config& after, const Service& was, const Service& is,
              std::vector<std::string>& lines)
      : before_(before), after_(after), was_(was), is_(is), lines_(lines) {}

  void run() {
    compare_lists(was_.vips, is_.vips, [](const IpPrefix& vip) { return "VIP " + to_string(vip); });
    compare_targets_of();
    compare("table_size", was_.table_size, is_.table_size);
    compare("need", was_.need, is_.need);
    if (is_different_elsewhere()) say("changed");
  }

 private:
  template <typename... Args>
  void say(fmt::format_string<Args...> text, Args&&... args) {
    lines_.push_back(fmt::format("service [{}]: {}", is_.name, fmt::format(text, std::forward<Args>(args)...)));
  }

  void compare(const char* what, uint32_t was, uint32_t is) {
    if (was != is) say("{} {} (was {})", what, is, was);
  }

  template <typename Items, typename Text>
  void compare_lists(const Items& was, const Items& is, Text text) {
    for (const auto& item : is) {
      if (std::find(was.begin(), was.end(), item) == was.end()) say("{} added", text(item));
    }
    for (const auto& item : was) {
      if (std::find(is.begin(), is.end(), item) == is.end()) say("{} removed", text(item));
    }
  }

  struct Member {
    std::optional<uint32_t> weight;
    bool is_unused;  // not worth a line when it comes or goes
  };

  static std::map<std::string, Member> members(const Config& config, const Service& service) {
    std::map<std::string, Member> of;
    for (const TargetUse& use : service.targets) {
      const Target& target = config.targets[use.target];
      of[target.name] = {use.weight, is_unused(target)};
    }
    return of;
  }

  // By name: a target's place in the list may change by what happens to others.
  void compare_targets_of() {
    const auto text = [](const std::optional<uint32_t>& weight) {
      return weight ? std::to_string(*weight) : std::string("its own");
    };
    const auto was = members(before_, was_), is = members(after_, is_);
    for (const auto& [name, member] : is) {
      const auto old = was.find(name);
      if (old == was.end()) {
        if (!member.is_unused) say("target [{}] added", name);
      } else if (old->second.weight != member.weight) {
        say("target [{}] has weight {} (was {})", name, text(member.weight), text(old->second.weight));
      }
    }
    for (const auto& [name, member] : was) {
      if (!is.contains(name) && !member.is_unused) say("target [{}] removed", name);
    }
  }

  [[nodiscard]] bool is_different_elsewhere() const {
    Service rest = was_;
    rest.vips = is_.vips;
    rest.targets = is_.targets;
    rest.table_size = is_.table_size;
    rest.need = is_.need;
    rest.id = is_.id;
    return rest != is_;
  }

  const Config& before_;
  const Config& after_;
  const Service& was_;
  const Service& is_;
  std::vector<std::string>& lines_;
};

void compare_all_targets(const Config& before, const Config& after, std::vector<std::string>& lines) {
  const auto was = by_name(before.targets), is = by_name(after.targets);
  for (const auto& [name, target] : is) {
    const auto old = was.find(name);
    if (old != was.end()) {
      compare_targets(*old->second, *target, lines);
    } else if (!is_unused(*target)) {
      lines.push_back(fmt::format("target [{}] added, {}", name, target_state_text(*target)));
    }
  }
  for (const auto& [name, target] : was) {
    if (is.count(name) == 0 && !is_unused(*target)) lines.push_back(fmt::format("target [{}] removed", name));
  }
}

void compare_all_services(const Config& before, const Config& after, std::vector<std::string>& lines) {
  const auto was = by_name(before.services), is = by_name(after.services);
  for (const auto& [name, service] : is) {
    const auto old = was.find(name);
    if (old == was.end()) {
      lines.push_back(fmt::format("service [{}] added", name));
    } else {
      ServiceDiff(before, after, *old->second, *service, lines).run();
    }
  }
  for (const auto& [name, service] : was) {
    if (is.count(name) == 0) lines.push_back(fmt::format("service [{}] removed", name));
  }
}

}  // namespace

std::string target_state_text(const Target& target) {
  if (is_unused(target)) return "unused";
  const std::string by_hand = target.by_hand ? " by hand" : "";
  switch (target.effective_state()) {
    case TargetState::active: return (target.weight == 0 ? "draining" : "active") + by_hand;
    case TargetState::draining: return "draining" + by_hand;
    case TargetState::down: return "down" + by_hand;
  }
  return "invalid";
}

std::vector<std::string> describe_changes(const Config& before, const Config& after) {
  std::vector<std::string> lines;
  if (before.origin.file.empty() && !after.origin.file.empty() && !before.services.empty()) {
    lines.push_back(fmt::format("the configuration comes from {} (was set up by hand)", after.origin.file));
  }
  compare_all_targets(before, after, lines);
  compare_all_services(before, after, lines);
  if (!(before.lb_tier == after.lb_tier)) lines.push_back("lb_tier: changed");
  if (before.hash_seed != after.hash_seed) {
    lines.push_back(
        fmt::format("hash seed {} (was {}): new flows choose other targets", after.hash_seed, before.hash_seed));
  }
  return lines;
}

}  // namespace xdplb
