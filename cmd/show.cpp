// xdplb show: the lookup table and the targets of the default service. The first lines are what scripts know; the
// table is compiled from the configuration in the same way as the daemon does it.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cmd/common.h"
#include "cmd/live_flows.h"
#include "cmd/operator_vips.h"
#include "cmd/show_services.h"
#include "user/ctl/config_names.h"
#include "user/ctl/stats_segment.h"
#include "user/lb/snapshot.h"

namespace xdplb {
namespace {

constexpr size_t kEntriesShown = 24;

// The table of the default service, as positions of its targets; -1: none.
std::vector<int> lookup_by_position(const Config& config, const Service& service) {
  const auto snapshot = compile_snapshot(config, 0);
  std::vector<int> position_of_id(kMaxTargets + 1, -1);
  for (size_t i = 0; i < service.targets.size(); ++i) {
    position_of_id[config.targets[service.targets[i].target].id] = static_cast<int>(i);
  }
  std::vector<int> lookup;
  for (const uint16_t id : *snapshot->services[service.id].table) lookup.push_back(position_of_id[id]);
  return lookup;
}

struct ActiveTarget {
  size_t index;
  const Target& target;
};

std::vector<ActiveTarget> active_targets(const Config& config, const Service& service) {
  std::vector<ActiveTarget> active;
  for (size_t i = 0; i < service.targets.size(); ++i) {
    const Target& target = config.targets[service.targets[i].target];
    if (target.effective_state() == TargetState::active) active.push_back({i, target});
  }
  return active;
}

void print_default_service(const Config& config, const Service& service) {
  fmt::print("M={}, N={}, lookup;\n", service.table_size, service.targets.size());
  const std::vector<int> lookup = lookup_by_position(config, service);
  const size_t shown = std::min(lookup.size(), kEntriesShown);
  const bool cut = shown < lookup.size();
  fmt::print("{}{}\n", fmt::join(lookup.begin(), lookup.begin() + static_cast<long>(shown), " "), cut ? " ..." : "");
  fmt::print("Active:\n");
  for (const auto& [index, target] : active_targets(config, service)) {
    fmt::print("  {:<2d}: {}\n", index, to_string(target.effective_mac()));
  }
}

// Every target that there is something to say of, with its live flows where a daemon counts them.
struct ShownTarget {
  size_t index;
  const Target& target;
  std::optional<uint64_t> flows;
};

std::vector<ShownTarget> known_targets(const LiveTargets& live, const Config& config, const Service& service) {
  std::vector<ShownTarget> known;
  for (size_t i = 0; i < service.targets.size(); ++i) {
    const Target& target = config.targets[service.targets[i].target];
    if (!target.has_mac()) continue;
    const auto counted = live.find(target.name);
    known.push_back({i, target, counted == live.end() ? std::nullopt : std::optional(counted->second.flows)});
  }
  return known;
}

void print_targets(const std::vector<ShownTarget>& targets) {
  for (const auto& [index, target, flows] : targets) {
    fmt::print("Target: {} {}{}\n", index, state_and_mark(target),
               flows ? fmt::format(", {} live flows", *flows) : "");
  }
}

struct ShownVip {
  std::string vip;
  std::string service;
  std::string fallback;
  std::string source;
};

// Those that bpftool put into the map belong to the default service too; their fallback is what the operator wrote.
std::vector<ShownVip> all_vips(const Config& config, const std::string& shm) {
  std::vector<ShownVip> vips;
  for (const Service& service : config.services) {
    for (const IpPrefix& vip : service.vips) {
      vips.push_back({to_string(vip), service.name, falls_back_to_pass(service, vip) ? "pass" : "drop",
                      service.is_default && !config.origin.names_default ? "vip add" : "file"});
    }
  }
  const std::string default_name = default_service(config) == nullptr ? "none" : std::string(kDefaultServiceName);
  for (const IpAddr& vip : list_operator_vips(shm)) {
    vips.push_back({to_string(IpPrefix{vip, 128}), default_name, "as set", "bpftool"});
  }
  return vips;
}

std::string daemon_state(const ConfigStore& store) {
  const auto pid = store.daemon_running();
  if (!pid) return "not running";
  const auto adoption = read_adoption(store.name());
  if (!adoption) return fmt::format("pid {}, starting", *pid);
  std::string text = fmt::format("pid {}, generation {} in force", *pid, adoption->adopted_generation);
  if (adoption->refused_generation > adoption->adopted_generation) {
    text += fmt::format("; refused {}: {}", adoption->refused_generation, adoption->refused_why);
  }
  return text;
}

nlohmann::ordered_json to_json(const ConfigStore& store, const StoredConfig& stored) {
  const Config& config = stored.config;
  const LiveTargets live = live_targets(store);
  nlohmann::ordered_json json = {{"generation", stored.generation}};
  const auto pid = store.daemon_running();
  json["daemon"] = {{"running", pid.has_value()}, {"pid", pid.value_or(0)}};
  if (const auto adoption = read_adoption(store.name()); pid && adoption) {
    json["daemon"]["generation"] = adoption->adopted_generation;
  }
  if (const Service* service = default_service(config)) {
    json["m"] = service->table_size;
    json["n"] = service->targets.size();
    json["lookup"] = lookup_by_position(config, *service);
    json["active"] = nlohmann::ordered_json::array();
    for (const auto& [index, target] : active_targets(config, *service)) {
      json["active"].push_back({{"index", index}, {"name", target.name}, {"mac", to_string(target.effective_mac())}});
    }
    json["targets"] = nlohmann::ordered_json::array();
    for (const auto& [index, target, flows] : known_targets(live, config, *service)) {
      json["targets"].push_back({{"index", index},
                                 {"name", target.name},
                                 {"mac", to_string(target.effective_mac())},
                                 {"state", enum_name(kTargetStateNames, target.effective_state())},
                                 {"by_hand", target.by_hand.has_value()},
                                 {"flows", flows ? nlohmann::ordered_json(*flows) : nlohmann::ordered_json()}});
    }
  }
  json["file"] = config.origin.file.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(config.origin.file);
  json["services"] = services_to_json(config, live);
  json["vips"] = nlohmann::ordered_json::array();
  for (const ShownVip& vip : all_vips(config, store.name().text())) {
    json["vips"].push_back(
        {{"vip", vip.vip}, {"service", vip.service}, {"fallback", vip.fallback}, {"source", vip.source}});
  }
  return json;
}

Result<int> run(const std::string& shm, bool json) {
  const auto store = open_store(shm, ConfigStore::Access::read);
  if (!store) return store.error();
  const auto stored = store->read();
  if (!stored) return stored.error();
  if (json) {
    fmt::print("{}\n", to_json(*store, *stored).dump(2));
    return kExitDone;
  }
  const LiveTargets live = live_targets(*store);
  if (const Service* service = default_service(stored->config)) {
    print_default_service(stored->config, *service);
    print_targets(known_targets(live, stored->config, *service));
  }
  print_services(stored->config, live);
  for (const ShownVip& vip : all_vips(stored->config, shm)) {
    fmt::print("VIP: {} (service {}, fallback {}, from {})\n", vip.vip, vip.service, vip.fallback, vip.source);
  }
  fmt::print("Generation: {}\nDaemon: {}\n", stored->generation, daemon_state(*store));
  return kExitDone;
}

}  // namespace

Action setup_show(CLI::App& app) {
  struct Options {
    std::string shm;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  add_shm_option(app, options->shm);
  app.add_flag("--json", options->json, "as JSON, with the whole table");
  return [options] { return run(options->shm, options->json); };
}

}  // namespace xdplb
