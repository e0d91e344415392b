#include "cmd/show_services.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "user/ctl/config_names.h"

namespace xdplb {
namespace {

using Json = nlohmann::ordered_json;

std::string ports_text(const PortRange& range) {
  return range.first == range.last ? std::to_string(range.first) : fmt::format("{}-{}", range.first, range.last);
}

std::string listen_text(const Service& service) {
  if (service.listen.empty()) return "every protocol and port";
  std::vector<std::string> all;
  for (const Listen& listen : service.listen) {
    std::string text = std::to_string(listen.protocol);
    for (const auto& [name, number] : kProtocolNames) {
      if (number == listen.protocol) text = name;
    }
    for (const PortRange& range : listen.ports) text += " " + ports_text(range);
    all.push_back(std::move(text));
  }
  return fmt::format("{}", fmt::join(all, ", "));
}

const TargetStats* find_live(const LiveTargets& live, const Target& target) {
  const auto found = live.find(target.name);
  return found == live.end() ? nullptr : &found->second;
}

// Its own, or the one that the daemon has found; zero: none.
MacAddr mac_of(const Target& target, const TargetStats* live) {
  return target.has_mac() || live == nullptr ? target.effective_mac() : live->mac;
}

// ", 192.168.1.2 unreachable"; nothing of a target that has a MAC of its own.
std::string reach_text(const Target& target, const TargetStats* live) {
  if (target.has_mac() || !target.address) return "";
  return fmt::format(", {}{}", to_string(*target.address),
                     live == nullptr ? "" : fmt::format(" {}", to_string(live->reach)));
}

// Where a daemon runs, it knows whether a target that is known by address is there.
size_t count_usable(const Config& config, const Service& service, const LiveTargets& live) {
  return static_cast<size_t>(std::count_if(service.targets.begin(), service.targets.end(), [&](const TargetUse& use) {
    const Target& target = config.targets[use.target];
    const TargetStats* known = find_live(live, target);
    return takes_new_flows(config, use) && (known == nullptr || !mac_of(target, known).is_zero());
  }));
}

// The default service of `init` has its lines already.
bool is_shown(const Config& config, const Service& service) {
  return !service.is_default || config.origin.names_default;
}

void print_targets(const Config& config, const Service& service, const LiveTargets& live) {
  size_t width = 0;
  for (const TargetUse& use : service.targets) width = std::max(width, config.targets[use.target].name.size());
  for (const TargetUse& use : service.targets) {
    const Target& target = config.targets[use.target];
    const uint32_t weight = use.weight.value_or(target.weight);
    const TargetStats* known = find_live(live, target);
    const MacAddr mac = mac_of(target, known);
    fmt::print("  {:<{}}  {:<17}  {}{}{}{}\n", target.name, width, mac.is_zero() ? "no MAC" : to_string(mac),
               state_and_mark(target), weight == 1 ? "" : fmt::format(", weight {}", weight),
               reach_text(target, known), known == nullptr ? "" : fmt::format(", {} live flows", known->flows));
  }
}

Json target_to_json(const Config& config, const TargetUse& use, const LiveTargets& live) {
  const Target& target = config.targets[use.target];
  const TargetStats* known = find_live(live, target);
  const MacAddr mac = mac_of(target, known);
  return {{"name", target.name},
          {"mac", mac.is_zero() ? Json() : Json(to_string(mac))},
          {"address", target.address ? Json(to_string(*target.address)) : Json()},
          {"weight", use.weight.value_or(target.weight)},
          {"state", enum_name(kTargetStateNames, target.effective_state())},
          {"by_hand", target.by_hand.has_value()},
          {"state_in_file", enum_name(kTargetStateNames, target.state)},
          {"reach", known == nullptr ? Json() : Json(to_string(known->reach))},
          {"flows", known == nullptr ? Json() : Json(known->flows)}};
}

}  // namespace

std::string state_and_mark(const Target& target) {
  std::string text(enum_name(kTargetStateNames, target.effective_state()));
  if (!target.by_hand) return text;
  text += " by hand";
  if (target.by_hand->state != target.state) {
    text += fmt::format("; the file says {}", enum_name(kTargetStateNames, target.state));
  }
  if (target.by_hand->mac) text += ", with a MAC by hand";
  return text;
}

void print_services(const Config& config, const LiveTargets& live) {
  if (config.origin.file.empty()) return;
  fmt::print("File: {}\n", config.origin.file);
  for (const Service& service : config.services) {
    if (!is_shown(config, service)) continue;
    fmt::print("Service: {}, {}; {} of {} targets usable, {} needed\n", service.name, listen_text(service),
               count_usable(config, service, live), service.targets.size(), service.need);
    print_targets(config, service, live);
  }
}

Json services_to_json(const Config& config, const LiveTargets& live) {
  Json json = Json::array();
  if (config.origin.file.empty()) return json;
  for (const Service& service : config.services) {
    if (!is_shown(config, service)) continue;
    Json one = {{"name", service.name},
                {"table_size", service.table_size},
                {"need", service.need},
                {"usable", count_usable(config, service, live)},
                {"targets", Json::array()}};
    for (const TargetUse& use : service.targets) one["targets"].push_back(target_to_json(config, use, live));
    json.push_back(std::move(one));
  }
  return json;
}

}  // namespace xdplb
