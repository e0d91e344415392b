#include "cmd/show_services.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "user/ctl/config_names.h"

namespace xdplb {
namespace {

using Json = nlohmann::ordered_json;
using Flows = std::map<std::string, uint64_t>;

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

std::string mac_text(const Target& target) {
  if (target.has_mac()) return to_string(target.effective_mac());
  return target.address ? to_string(*target.address) : "no MAC";
}

// The default service of `init` has its lines already.
bool is_shown(const Config& config, const Service& service) {
  return !service.is_default || config.origin.names_default;
}

void print_targets(const Config& config, const Service& service, const Flows& flows) {
  size_t width = 0;
  for (const TargetUse& use : service.targets) width = std::max(width, config.targets[use.target].name.size());
  for (const TargetUse& use : service.targets) {
    const Target& target = config.targets[use.target];
    const uint32_t weight = use.weight.value_or(target.weight);
    const auto counted = flows.find(target.name);
    fmt::print("  {:<{}}  {:<17}  {}{}{}\n", target.name, width, mac_text(target), state_and_mark(target),
               weight == 1 ? "" : fmt::format(", weight {}", weight),
               counted == flows.end() ? "" : fmt::format(", {} live flows", counted->second));
  }
}

Json target_to_json(const Config& config, const TargetUse& use, const Flows& flows) {
  const Target& target = config.targets[use.target];
  const auto counted = flows.find(target.name);
  return {{"name", target.name},
          {"mac", target.has_mac() ? Json(to_string(target.effective_mac())) : Json()},
          {"address", target.address ? Json(to_string(*target.address)) : Json()},
          {"weight", use.weight.value_or(target.weight)},
          {"state", enum_name(kTargetStateNames, target.effective_state())},
          {"by_hand", target.by_hand.has_value()},
          {"state_in_file", enum_name(kTargetStateNames, target.state)},
          {"flows", counted == flows.end() ? Json() : Json(counted->second)}};
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

void print_services(const Config& config, const Flows& flows) {
  if (config.origin.file.empty()) return;
  fmt::print("File: {}\n", config.origin.file);
  for (const Service& service : config.services) {
    if (!is_shown(config, service)) continue;
    fmt::print("Service: {}, {}; {} of {} targets usable, {} needed\n", service.name, listen_text(service),
               count_usable_targets(config, service), service.targets.size(), service.need);
    print_targets(config, service, flows);
  }
}

Json services_to_json(const Config& config, const Flows& flows) {
  Json json = Json::array();
  if (config.origin.file.empty()) return json;
  for (const Service& service : config.services) {
    if (!is_shown(config, service)) continue;
    Json one = {{"name", service.name},
                {"table_size", service.table_size},
                {"need", service.need},
                {"usable", count_usable_targets(config, service)},
                {"targets", Json::array()}};
    for (const TargetUse& use : service.targets) one["targets"].push_back(target_to_json(config, use, flows));
    json.push_back(std::move(one));
  }
  return json;
}

}  // namespace xdplb
