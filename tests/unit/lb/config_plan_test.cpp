#include "user/lb/config_plan.h"

#include <catch2/catch.hpp>
#include <cmath>

namespace xdplb {
namespace {

// A service of so many targets "0", "1", ..., all active.
Config config_of(uint32_t targets, uint32_t table_size = 10007) {
  Config config = make_default_config(table_size, targets);
  for (uint32_t i = 0; i < targets; ++i) {
    config.targets[i].mac = MacAddr{{2, 0, 0, 0, 0, static_cast<uint8_t>(i + 1)}};
    config.targets[i].state = TargetState::active;
  }
  config.services[0].name = "web";
  config.services[0].is_default = false;
  config.services[0].vips = {parse_prefix("10.0.0.0/24").value()};
  REQUIRE(assign_identities(Config{}, config));
  return config;
}

TableMove only_move(const Config& before, const Config& after) {
  const auto moves = table_moves(before, after);
  REQUIRE(moves.size() == 1);
  return moves[0];
}

bool is_near(double value, double expected) {
  return std::abs(value - expected) < 0.02;
}

TEST_CASE("config plan: nothing moves where the tables stay") {
  const Config before = config_of(4);
  Config after = before;
  CHECK(table_moves(before, after).empty());
  after.targets[0].mac = MacAddr{{2, 0, 0, 0, 0, 77}};
  after.services[0].timeouts.udp_s = 5;
  after.services[0].vips.clear();
  CHECK(table_moves(before, after).empty());
}

TEST_CASE("config plan: the share of a target that goes, and not much more") {
  const Config before = config_of(4);
  Config after = before;
  after.targets[1].state = TargetState::down;
  const TableMove down = only_move(before, after);
  CHECK(down.service == "web");
  CHECK(down.share >= 0.25 - 0.001);
  CHECK(down.share < 0.35);
  CHECK(down.usable_before == 4);
  CHECK(down.usable_after == 3);
  // A mark by hand does the same, and so does draining.
  after = before;
  after.targets[1].by_hand = ByHand{TargetState::draining, std::nullopt};
  CHECK(only_move(before, after).share == down.share);
}

TEST_CASE("config plan: nothing was there, nothing is left, a new table size, a new hash") {
  Config none = config_of(2);
  for (Target& target : none.targets) target.state = TargetState::down;
  const Config two = config_of(2);
  CHECK(only_move(none, two).share == 0);
  CHECK(only_move(two, none).share == 1);

  // Two targets have half of either table, in another pattern.
  Config size = two;
  size.services[0].table_size = 997;
  CHECK(only_move(two, size).share > 0.2);
  CHECK(only_move(two, size).share < 0.8);
  Config one = config_of(1);
  Config one_of_size = one;
  one_of_size.services[0].table_size = 997;
  CHECK(only_move(one, one_of_size).share == 0);

  Config seed = config_of(4);
  seed.hash_seed = 9;
  CHECK(is_near(only_move(config_of(4), seed).share, 0.75));
}

TEST_CASE("config plan: services that come and go, and a target that is another one under an old id") {
  const Config before = config_of(2);
  Config after = before;
  after.services[0].name = "other";
  const auto moves = table_moves(before, after);
  REQUIRE(moves.size() == 2);
  CHECK((moves[0].service == "other" && moves[0].change == ServiceChange::added && moves[0].share == 0));
  CHECK((moves[1].service == "web" && moves[1].change == ServiceChange::removed && moves[1].share == 1));

  Config replaced = before;
  replaced.targets[0].name = "new";
  REQUIRE(assign_identities(before, replaced));
  CHECK(replaced.targets[0].id == before.targets[0].id);
  CHECK(only_move(before, replaced).share > 0.4);
}

TEST_CASE("config plan: a target with an address counts as found") {
  Config before = config_of(2);
  before.targets[1].mac = {};
  before.targets[1].address = parse_ip("192.0.2.1").value();
  Config after = before;
  after.targets[1].state = TargetState::down;
  CHECK(is_near(only_move(before, after).share, 0.5));
}

TEST_CASE("config plan: what becomes of connections") {
  Config after = config_of(4);
  after.targets[0].by_hand = ByHand{TargetState::down, std::nullopt};
  after.targets[1].state = TargetState::draining;
  after.services[0].targets[2].weight = 0;
  const FlowFates fates(after);
  const std::string vip = "10.0.0.0/24";
  CHECK(fates.of("web", "0", vip) == FlowFate::breaks);
  CHECK(fates.of("web", "1", vip) == FlowFate::drains);
  CHECK(fates.of("web", "2", vip) == FlowFate::drains);
  CHECK(fates.of("web", "3", vip) == FlowFate::stays);
  CHECK(fates.of("web", "gone", vip) == FlowFate::breaks);
  // The VIP counts, not the service.
  CHECK(fates.of("web", "3", "10.0.0.7/32") == FlowFate::stays);
  CHECK(fates.of("old", "3", vip) == FlowFate::stays);
  CHECK(fates.of("web", "3", "10.0.1.0/24") == FlowFate::breaks);
  CHECK(fates.of("web", "3", "") == FlowFate::breaks);
  after.services[0].targets.pop_back();
  CHECK(FlowFates(after).of("web", "3", vip) == FlowFate::drains);
}

}  // namespace
}  // namespace xdplb
