#include "user/lb/config_plan.h"

#include <algorithm>
#include <tuple>

#include "user/lb/snapshot.h"

namespace xdplb {
namespace {

bool can_have_mac(const Target& target) {
  return target.has_mac() || target.address;
}

// All that a service's table depends on; equal ones need not be built.
auto table_inputs(const Config& config, const Service& service) {
  std::set<std::tuple<std::string, uint32_t, uint32_t>> members;
  for (const TargetUse& use : service.targets) {
    const Target& target = config.targets[use.target];
    if (!takes_new_flows(config, use)) continue;
    members.emplace(target.name, target.epoch, use.weight.value_or(target.weight));
  }
  return std::tuple(service.table_size, service.algorithm, service.hash_fields, config.hash_seed, std::move(members));
}

using Services = std::map<std::string, const Service*>;

Services services_by_name(const Config& config) {
  Services services;
  for (const Service& service : config.services) services[service.name] = &service;
  return services;
}

// With the services in `names` alone, and a MAC for every target that has an address: which one does not matter here.
std::unique_ptr<const Snapshot> compile_only(Config config, const std::set<std::string>& names) {
  std::erase_if(config.services, [&](const Service& service) { return !names.contains(service.name); });
  for (Target& target : config.targets) {
    if (target.address && !target.has_mac()) target.mac = MacAddr{{2}};
  }
  return compile_snapshot(config, 0);
}

// Tells a target from one that has its id later.
uint32_t identity(const Snapshot& snapshot, uint16_t id) {
  return id == kNoTarget ? UINT32_MAX : uint32_t{snapshot.targets[id].epoch} << 16 | id;
}

// Flows meet the two tables as if these were drawn anew: the hash itself has changed.
double share_by_chance(const Snapshot& was, const LookupTable& before, const Snapshot& is, const LookupTable& after) {
  std::map<uint32_t, std::pair<double, double>> shares;
  for (const uint16_t id : before) shares[identity(was, id)].first += 1.0 / static_cast<double>(before.size());
  for (const uint16_t id : after) shares[identity(is, id)].second += 1.0 / static_cast<double>(after.size());
  double same = 0;
  for (const auto& [target, share] : shares) same += share.first * share.second;
  return 1 - same;
}

// Entry i of a table of M stands for hashes from i/M to (i+1)/M: walked in steps that lie in one entry of each table.
double share_by_hash(const Snapshot& was, const LookupTable& before, const Snapshot& is, const LookupTable& after) {
  const uint64_t whole = uint64_t{before.size()} * after.size();
  uint64_t moved = 0, at = 0;
  size_t b = 0, a = 0;
  while (at < whole) {
    const uint64_t b_end = (b + 1) * uint64_t{after.size()}, a_end = (a + 1) * uint64_t{before.size()};
    const uint64_t end = std::min(b_end, a_end);
    if (identity(was, before[b]) != identity(is, after[a])) moved += end - at;
    b += end == b_end ? 1 : 0;
    a += end == a_end ? 1 : 0;
    at = end;
  }
  return static_cast<double>(moved) / static_cast<double>(whole);
}

double share_moved(const Snapshot& was, const SnapshotService& before, const Snapshot& is,
                   const SnapshotService& after) {
  if (before.is_empty()) return 0;
  if (after.is_empty()) return 1;
  const bool same_hash = was.hash_seed == is.hash_seed && before.hash_fields == after.hash_fields;
  return same_hash ? share_by_hash(was, *before.table, is, *after.table)
                   : share_by_chance(was, *before.table, is, *after.table);
}

}  // namespace

std::vector<TableMove> table_moves(const Config& before, const Config& after) {
  const Services was = services_by_name(before), is = services_by_name(after);
  std::vector<TableMove> moves;
  std::set<std::string> differ;
  for (const auto& [name, service] : was) {
    const size_t usable = count_usable_targets(before, *service);
    const auto now = is.find(name);
    if (now == is.end()) {
      moves.push_back({name, ServiceChange::removed, usable == 0 ? 0.0 : 1.0, usable, 0});
    } else if (table_inputs(before, *service) != table_inputs(after, *now->second)) {
      moves.push_back({name, ServiceChange::stays, 0, usable, count_usable_targets(after, *now->second)});
      differ.insert(name);
    }
  }
  for (const auto& [name, service] : is) {
    if (was.contains(name)) continue;
    moves.push_back({name, ServiceChange::added, 0, 0, count_usable_targets(after, *service)});
  }
  std::sort(moves.begin(), moves.end(), [](const TableMove& a, const TableMove& b) { return a.service < b.service; });
  if (differ.empty()) return moves;
  const auto old_tables = compile_only(before, differ), new_tables = compile_only(after, differ);
  for (TableMove& move : moves) {
    if (!differ.contains(move.service)) continue;
    move.share = share_moved(*old_tables, old_tables->services[was.at(move.service)->id], *new_tables,
                             new_tables->services[is.at(move.service)->id]);
  }
  return moves;
}

FlowFates::FlowFates(const Config& after) : after_(after) {
  for (const Target& target : after.targets) targets_[target.name] = &target;
  for (const Service& service : after.services) {
    std::set<std::string>& takers = takers_[service.name];
    for (const TargetUse& use : service.targets) {
      if (takes_new_flows(after, use)) takers.insert(after.targets[use.target].name);
    }
    vips_.insert(service.vips.begin(), service.vips.end());
  }
}

bool FlowFates::is_served(std::string_view vip) const {
  if (vip.empty()) return default_service(after_) != nullptr;
  const auto prefix = parse_prefix(vip);
  if (!prefix) return false;
  for (int len = prefix->len; len >= 0; --len) {
    const auto bits = static_cast<uint8_t>(len);
    if (vips_.contains(IpPrefix{mask_addr(prefix->addr, bits), bits})) return true;
  }
  return false;
}

FlowFate FlowFates::of(const std::string& service, const std::string& target, std::string_view vip) const {
  const auto found = targets_.find(target);
  if (found == targets_.end() || !can_have_mac(*found->second)) return FlowFate::breaks;
  if (found->second->effective_state() == TargetState::down || !is_served(vip)) return FlowFate::breaks;
  const auto takers = takers_.find(service);
  // A flow of a service that went to another one: its target is what counts.
  if (takers == takers_.end()) return FlowFate::stays;
  return takers->second.contains(target) ? FlowFate::stays : FlowFate::drains;
}

}  // namespace xdplb
