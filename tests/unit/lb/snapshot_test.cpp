#include "user/lb/snapshot.h"

#include <catch2/catch.hpp>
#include <map>

#include "user/base/hash.h"

namespace xdplb {
namespace {

Config config_of(uint32_t targets, uint32_t table_size = 997) {
  Config config;
  Service service;
  service.name = "web";
  service.is_default = true;
  service.table_size = table_size;
  for (uint32_t i = 0; i < targets; ++i) {
    Target t;
    t.name = "vm-" + std::to_string(i);
    t.mac = MacAddr{{0, 0, 0, 1, 1, static_cast<uint8_t>(i + 1)}};
    t.id = static_cast<uint16_t>(i + 3);
    t.epoch = 9;
    config.targets.push_back(t);
    service.targets.push_back({i, {}});
  }
  config.services.push_back(service);
  return config;
}

std::map<uint16_t, int> shares(const SnapshotService& service) {
  std::map<uint16_t, int> count;
  for (const uint16_t id : *service.table) ++count[id];
  return count;
}

TEST_CASE("balancers that choose alike have the same digest, whatever ids they gave out") {
  const auto digest = [](const Config& config) { return compile_snapshot(config, 1)->services[0].table_digest; };
  const Config config = config_of(4);
  Config other = config;
  for (Target& target : other.targets) target.id = static_cast<uint16_t>(20 - target.id);
  std::swap(other.services[0].targets[0], other.services[0].targets[3]);
  CHECK(digest(other) == digest(config));
  CHECK(digest(config) < uint64_t{1} << 53);

  const auto changed = [&](auto change) {
    Config next = config;
    change(next);
    return digest(next) != digest(config);
  };
  CHECK(changed([](Config& c) { c.targets[2].state = TargetState::down; }));
  CHECK(changed([](Config& c) { c.targets[2].weight = 3; }));
  CHECK(changed([](Config& c) { c.targets[2].name = "another"; }));
  CHECK(changed([](Config& c) { c.hash_seed = 1; }));
  CHECK(changed([](Config& c) { c.services[0].table_size = 1009; }));
  CHECK(changed([](Config& c) { c.services[0].algorithm = Algorithm::rendezvous; }));
  CHECK(changed([](Config& c) { c.services[0].hash_fields = HashFields::source; }));
  CHECK_FALSE(changed([](Config& c) { c.targets[2].mac = MacAddr{{0, 0, 0, 1, 1, 99}}; }));
}

TEST_CASE("a snapshot names targets by id and fills the table with the active ones") {
  Config config = config_of(4);
  config.targets[1].state = TargetState::down;
  config.targets[2].state = TargetState::draining;
  const auto snapshot = compile_snapshot(config, 5);
  CHECK(snapshot->generation == 5);
  CHECK(snapshot->any_draining);
  CHECK(shares(snapshot->services[0]).size() == 2);
  CHECK(shares(snapshot->services[0]).count(3) == 1);
  CHECK(shares(snapshot->services[0]).count(6) == 1);
  CHECK_FALSE(snapshot->targets[0].exists);
  CHECK(snapshot->targets[5].keeps_flows(9));        // draining
  CHECK_FALSE(snapshot->targets[5].keeps_flows(8));  // another epoch
  CHECK_FALSE(snapshot->targets[4].keeps_flows(9));  // down
}

TEST_CASE("a target without a MAC or with weight 0 takes no new flows") {
  Config config = config_of(3);
  config.targets[0].mac = {};
  config.targets[1].weight = 0;
  const auto snapshot = compile_snapshot(config, 1);
  CHECK(shares(snapshot->services[0]) == std::map<uint16_t, int>{{5, 997}});
  CHECK(snapshot->targets[4].state == TargetState::draining);
  CHECK(snapshot->targets[4].keeps_flows(9));
  CHECK_FALSE(snapshot->targets[3].keeps_flows(9));
}

TEST_CASE("a service's weight overrides the target's") {
  Config config = config_of(2, 10007);
  config.services[0].targets[0].weight = 3;
  const auto count = shares(compile_snapshot(config, 1)->services[0]);
  CHECK(count.at(3) > 2.9 * count.at(4));
  CHECK(count.at(3) < 3.1 * count.at(4));
}

TEST_CASE("no usable target leaves a table that chooses nobody") {
  Config config = config_of(0);
  const auto snapshot = compile_snapshot(config, 1);
  CHECK(snapshot->services[0].is_empty());
  CHECK(snapshot->services[0].choose(12345) == kNoTarget);
}

TEST_CASE("the table does not depend on the order, the ids or the MACs of the targets") {
  Config config = config_of(5);
  const auto before = compile_snapshot(config, 1);
  std::map<uint16_t, std::string> name_before, name_after;
  for (const Target& t : config.targets) name_before[t.id] = t.name;
  std::reverse(config.targets.begin(), config.targets.end());
  for (uint16_t i = 0; i < 5; ++i) {
    config.targets[i].id = static_cast<uint16_t>(40 + i);
    config.targets[i].mac.bytes[0] = 2;
    name_after[config.targets[i].id] = config.targets[i].name;
  }
  const auto after = compile_snapshot(config, 2);
  for (size_t i = 0; i < 997; ++i) {
    REQUIRE(name_before[(*before->services[0].table)[i]] == name_after[(*after->services[0].table)[i]]);
  }
}

TEST_CASE("equal tables are shared between services and with the snapshot before") {
  Config config = config_of(4);
  Service second = config.services[0];
  second.id = 1;
  second.name = "second";
  second.is_default = false;
  second.vips.push_back(parse_prefix("10.0.0.1").value());
  config.services.push_back(second);
  const auto first = compile_snapshot(config, 1);
  CHECK(first->services[0].table == first->services[1].table);
  const auto same = compile_snapshot(config, 2, first.get());
  CHECK(same->services[0].table == first->services[0].table);
  config.services[1].targets.pop_back();
  const auto changed = compile_snapshot(config, 3, same.get());
  CHECK(changed->services[0].table == first->services[0].table);
  CHECK(changed->services[1].table != first->services[0].table);
}

TEST_CASE("a service's algorithm fills its table, and another algorithm is another table") {
  Config config = config_of(5);
  std::vector<std::shared_ptr<const LookupTable>> tables;
  std::unique_ptr<const Snapshot> snapshot;
  for (const Algorithm algorithm : {Algorithm::maglev, Algorithm::rendezvous, Algorithm::modulo}) {
    config.services[0].algorithm = algorithm;
    snapshot = compile_snapshot(config, 1, snapshot.get());
    tables.push_back(snapshot->services[0].table);
  }
  CHECK(*tables[0] != *tables[1]);
  CHECK(*tables[1] != *tables[2]);
  CHECK(*tables[0] != *tables[2]);
  for (size_t i = 5; i < 997; ++i) REQUIRE((*tables[2])[i] == (*tables[2])[i - 5]);
  Service second = config.services[0];
  second.id = 1;
  second.name = "second";
  second.is_default = false;
  second.algorithm = Algorithm::rendezvous;
  config.services.push_back(second);
  const auto both = compile_snapshot(config, 2, snapshot.get());
  CHECK(both->services[0].table == tables[2]);
  CHECK(*both->services[1].table == *tables[1]);
}

TEST_CASE("the hash fields decide what keeps flows together") {
  Snapshot snapshot;
  snapshot.hash_seed = 7;
  FlowKey a;
  a.src = parse_ip("50.0.0.1").value();
  a.dst = parse_ip("10.0.0.1").value();
  a.src_port = 1000;
  a.dst_port = 80;
  a.protocol = 6;
  FlowKey other_port = a, other_vip = a;
  other_port.src_port = 1001;
  other_vip.dst = parse_ip("10.0.0.2").value();
  CHECK(snapshot.steering_hash(a, HashFields::five_tuple) !=
        snapshot.steering_hash(other_port, HashFields::five_tuple));
  CHECK(snapshot.steering_hash(a, HashFields::addresses) ==
        snapshot.steering_hash(other_port, HashFields::addresses));
  CHECK(snapshot.steering_hash(a, HashFields::addresses) != snapshot.steering_hash(other_vip, HashFields::addresses));
  CHECK(snapshot.steering_hash(a, HashFields::source) == snapshot.steering_hash(other_vip, HashFields::source));
}

}  // namespace
}  // namespace xdplb
