// xdplb plan: what a configuration file would do to traffic, before anything changes. The tables are worked out here;
// the daemon is asked for the connections that live.
#include <CLI/CLI.hpp>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "cmd/common.h"
#include "cmd/file_change.h"
#include "cmd/live_flows.h"

namespace xdplb {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string shm;
  std::string path;
  bool json = false;
};

struct FlowSums {
  uint64_t all = 0;
  uint64_t breaks = 0;
  uint64_t drains = 0;

  void add(const FlowSums& other) {
    all += other.all;
    breaks += other.breaks;
    drains += other.drains;
  }
};

struct Plan {
  FileChange change;
  uint64_t generation = 0;
  bool counted = false;  // by a daemon
  std::string why_not;
  std::map<std::string, FlowSums> flows;  // by service
  FlowSums total;
};

void count_flows(Plan& plan, const std::vector<FlowTally>& tallies) {
  const FlowFates fates(plan.change.after);
  for (const FlowTally& tally : tallies) {
    // Its target has gone already: the next packet chooses anew, whatever the file says.
    if (tally.target.empty()) continue;
    FlowSums sums{tally.flows, 0, 0};
    switch (fates.of(tally.service, tally.target, tally.vip)) {
      case FlowFate::stays: break;
      case FlowFate::drains: sums.drains = tally.flows; break;
      case FlowFate::breaks: sums.breaks = tally.flows; break;
    }
    plan.flows[tally.service].add(sums);
    plan.total.add(sums);
  }
}

Result<Plan> make_plan(const Options& options) {
  const auto file = read_file_for_host(options.path);
  if (!file) return file.error();
  const auto store = open_store(options.shm, ConfigStore::Access::read);
  if (!store && store.error().sys_errno != ENOENT) return store.error();
  StoredConfig stored;
  if (store) {
    auto read = store->read();
    if (!read) return read.error();
    stored = std::move(*read);
  }
  auto change = change_by_file(stored.config, *file);
  if (!change) return change.error();
  Plan plan;
  plan.change = std::move(*change);
  plan.generation = stored.generation;
  if (!store || !store->daemon_running()) {
    plan.why_not = "no daemon runs";
    return plan;
  }
  const auto tallies = tally_flows(options.shm);
  if (!tallies) {
    plan.why_not = tallies.error().message;
    return plan;
  }
  plan.counted = true;
  count_flows(plan, *tallies);
  return plan;
}

// Services of which there is something to say, with their moves.
std::map<std::string, TableMove> touched_services(const Plan& plan) {
  std::map<std::string, TableMove> touched;
  for (const TableMove& move : plan.change.moves) touched[move.service] = move;
  for (const auto& [service, sums] : plan.flows) {
    if (sums.breaks + sums.drains != 0) touched.try_emplace(service, TableMove{service});
  }
  return touched;
}

std::string table_text(const TableMove& move) {
  switch (move.change) {
    case ServiceChange::added: return "begins";
    case ServiceChange::removed: return "ends";
    case ServiceChange::stays: break;
  }
  return percent(move.share);
}

void print_row(const Plan& plan, const std::string& name, const std::string& table, const FlowSums& sums) {
  const auto text = [&](uint64_t n) { return plan.counted ? std::to_string(n) : std::string("-"); };
  fmt::print("{:<24} {:>11} {:>12} {:>8} {:>8}\n", name, table, text(sums.all), text(sums.breaks), text(sums.drains));
}

void print_text(const std::string& path, const Plan& plan) {
  print_lines(path, plan.change);
  print_marks(plan.change.after);
  if (plan.change.lines.empty()) return;
  fmt::print("{:<24} {:>11} {:>12} {:>8} {:>8}\n", "service", "table moves", "connections", "break", "drain");
  for (const auto& [service, move] : touched_services(plan)) {
    const auto sums = plan.flows.find(service);
    print_row(plan, service, table_text(move), sums == plan.flows.end() ? FlowSums{} : sums->second);
  }
  print_row(plan, "all services", "", plan.total);
  if (!plan.counted) fmt::print("live connections are not counted: {}\n", plan.why_not);
  for (const std::string& service : plan.change.emptied) {
    fmt::print("service [{}] would have no usable target left: apply refuses that without --force\n", service);
  }
}

Json sums_to_json(const FlowSums& sums) {
  return {{"connections", sums.all}, {"break", sums.breaks}, {"drain", sums.drains}};
}

Json to_json(const std::string& path, const Plan& plan) {
  constexpr const char* kChangeNames[] = {"stays", "added", "removed"};
  Json json = {{"file", path}, {"generation", plan.generation}, {"changes", plan.change.lines}};
  json["services"] = Json::array();
  for (const auto& [service, move] : touched_services(plan)) {
    Json one = {{"service", service},
                {"change", kChangeNames[static_cast<size_t>(move.change)]},
                {"table_share_moved", move.share},
                {"usable_before", move.usable_before},
                {"usable_after", move.usable_after}};
    const auto sums = plan.flows.find(service);
    const Json flows = sums_to_json(sums == plan.flows.end() ? FlowSums{} : sums->second);
    one["flows"] = plan.counted ? flows : Json();
    json["services"].push_back(std::move(one));
  }
  json["flows"] = plan.counted ? sums_to_json(plan.total) : Json();
  if (!plan.counted) json["flows_unknown_because"] = plan.why_not;
  json["left_without_target"] = plan.change.emptied;
  return json;
}

Result<int> run(const Options& options) {
  const auto plan = make_plan(options);
  if (!plan) return plan.error();
  if (options.json) {
    fmt::print("{}\n", to_json(options.path, *plan).dump(2));
  } else {
    print_text(options.path, *plan);
  }
  return plan->change.lines.empty() ? kExitDone : kExitWarnings;
}

}  // namespace

Action setup_plan(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_shm_option(app, options->shm);
  app.add_option("FILE", options->path, "configuration file (JSON)")->required();
  app.add_flag("--json", options->json, "as JSON");
  return [options] { return run(*options); };
}

}  // namespace xdplb
