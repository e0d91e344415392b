#include "user/lb/snapshot.h"

#include <algorithm>
#include <map>

#include "user/lb/table_builder.h"

namespace xdplb {
namespace {

static_assert(kNoBackend == kNoTarget);

// All that a table depends on, so that equal keys mean equal tables.
struct TableKey {
  uint32_t table_size = 0;
  Algorithm algorithm = Algorithm::maglev;
  std::vector<uint64_t> members;  // identity, then weight and id, by identity

  friend auto operator<=>(const TableKey&, const TableKey&) = default;
};

TableKey table_key(std::vector<Backend> backends, const Service& service) {
  std::sort(backends.begin(), backends.end(),
            [](const Backend& a, const Backend& b) { return a.identity < b.identity; });
  TableKey key{service.table_size, service.algorithm, {}};
  for (const Backend& b : backends) {
    key.members.push_back(b.identity);
    key.members.push_back(uint64_t{b.weight} << 16 | b.index);
  }
  return key;
}

SnapshotTarget compile_target(const Target& target) {
  SnapshotTarget t;
  t.mac = target.effective_mac();
  t.epoch = target.epoch;
  t.exists = true;
  t.state = target.effective_state();
  if (t.state == TargetState::active && target.weight == 0) t.state = TargetState::draining;
  t.reachable = target.has_mac();
  if (t.reachable && t.state != TargetState::down) t.keeps = {target.id, target.epoch};
  return t;
}

// The targets of a service that take new flows.
std::vector<Backend> backends_of(const Config& config, const Service& service, const Snapshot& snapshot) {
  std::vector<Backend> backends;
  for (const TargetUse& use : service.targets) {
    const Target& target = config.targets[use.target];
    const SnapshotTarget& compiled = snapshot.targets[target.id];
    const uint32_t weight = use.weight.value_or(target.weight);
    if (compiled.state != TargetState::active || !compiled.reachable || weight == 0) continue;
    backends.push_back({target_identity(target.name, config.hash_seed), weight, target.id});
  }
  return backends;
}

// Tables by what they depend on: those of this snapshot, and those that can be taken over from the one before.
class TableCache {
 public:
  explicit TableCache(const Snapshot* previous) : previous_(previous) {}

  std::shared_ptr<const LookupTable> get(TableKey key, const std::vector<Backend>& backends, uint16_t service) {
    auto [it, added] = tables_.try_emplace(std::move(key));
    if (!added) return it->second;
    it->second = reuse(it->first, service);
    if (it->second == nullptr) {
      auto table = std::make_shared<LookupTable>(it->first.table_size);
      build_table(it->first.algorithm, backends, *table);
      it->second = std::move(table);
    }
    return it->second;
  }

 private:
  std::shared_ptr<const LookupTable> reuse(const TableKey& key, uint16_t service) const {
    if (previous_ == nullptr || service >= previous_->services.size()) return nullptr;
    const SnapshotService& before = previous_->services[service];
    const bool equal = before.exists && before.table_key == key.members && before.algorithm == key.algorithm &&
                       before.table_size == key.table_size;
    return equal ? before.table : nullptr;
  }

  const Snapshot* previous_;
  std::map<TableKey, std::shared_ptr<const LookupTable>> tables_;
};

SnapshotService compile_service(const Config& config, const Service& service, const Snapshot& snapshot,
                                TableCache& tables, uint32_t flows) {
  SnapshotService s;
  s.exists = true;
  s.on_empty = service.on_empty;
  s.hash_fields = service.hash_fields;
  s.id = service.id;
  s.table_size = service.table_size;
  s.algorithm = service.algorithm;
  s.policy = make_flow_policy(service, flows);
  s.name = service.name;
  const std::vector<Backend> backends = backends_of(config, service, snapshot);
  TableKey key = table_key(backends, service);
  s.table_key = key.members;
  s.table = tables.get(std::move(key), backends, service.id);
  s.table_digest = table_digest(s);
  return s;
}

template <typename Items>
size_t ids_end(const Items& items) {
  size_t end = 0;
  for (const auto& item : items) end = std::max<size_t>(end, item.id + size_t{1});
  return end;
}

}  // namespace

uint64_t target_identity(const std::string& name, uint64_t hash_seed) {
  return hash_bytes(name.data(), name.size(), hash_seed);
}

uint64_t table_digest(const SnapshotService& service) {
  std::vector<uint64_t> parts = {service.table_size, static_cast<uint64_t>(service.algorithm),
                                 static_cast<uint64_t>(service.hash_fields)};
  for (size_t i = 0; i + 1 < service.table_key.size(); i += 2) {
    parts.push_back(service.table_key[i]);
    parts.push_back(service.table_key[i + 1] >> 16);  // the weight; beside it stands the id
  }
  constexpr uint64_t kExactInDouble = (uint64_t{1} << 53) - 1;  // metrics are floating point
  return hash_bytes(parts.data(), parts.size() * sizeof parts[0], 0) & kExactInDouble;
}

std::unique_ptr<const Snapshot> compile_snapshot(const Config& config, uint64_t generation, const Snapshot* previous,
                                                 uint32_t flows) {
  auto snapshot = std::make_unique<Snapshot>();
  snapshot->generation = generation;
  snapshot->version = previous == nullptr ? generation : previous->version + 1;
  snapshot->hash_seed = config.hash_seed;
  snapshot->tier = Tier(config.lb_tier, config.hash_seed);
  snapshot->vips = VipTable::build(config.services);
  snapshot->targets.resize(ids_end(config.targets));
  for (const Target& target : config.targets) {
    snapshot->targets[target.id] = compile_target(target);
    snapshot->any_draining |= snapshot->targets[target.id].state == TargetState::draining;
  }
  snapshot->services.resize(ids_end(config.services));
  TableCache tables(previous);
  for (const Service& service : config.services) {
    snapshot->services[service.id] = compile_service(config, service, *snapshot, tables, flows);
  }
  return snapshot;
}

}  // namespace xdplb
