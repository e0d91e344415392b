#include "user/lb/config_diff.h"

#include <catch2/catch.hpp>

namespace xdplb {
namespace {

using Lines = std::vector<std::string>;

Config base() {
  Config config = make_default_config(997, 3);
  config.targets[0].mac = parse_mac("0:0:0:1:1:1").value();
  config.targets[0].state = TargetState::active;
  return config;
}

TEST_CASE("every change of a configuration is said in a line that names the thing") {
  const Config before = base();
  Config after = before;
  CHECK(describe_changes(before, after).empty());

  after.targets[0].state = TargetState::down;
  CHECK(describe_changes(before, after) == Lines{"target [0] is down (was active)"});
  after.targets[0].state = TargetState::draining;
  CHECK(describe_changes(before, after) == Lines{"target [0] is draining (was active)"});

  after = before;
  after.targets[1].mac = parse_mac("0:0:0:1:1:2").value();
  after.targets[1].state = TargetState::active;
  CHECK(describe_changes(before, after) ==
        Lines{"target [1] is active (was unused)", "target [1] has MAC 00:00:00:01:01:02"});

  after = before;
  after.targets[0].weight = 3;
  default_service(after)->vips.push_back(parse_prefix("10.0.0.0").value());
  CHECK(describe_changes(before, after) ==
        Lines{"target [0] has weight 3 (was 1)", "service [default]: VIP 10.0.0.0/32 added"});
  CHECK(describe_changes(after, before) ==
        Lines{"target [0] has weight 1 (was 3)", "service [default]: VIP 10.0.0.0/32 removed"});
}

TEST_CASE("marks by hand stand above what the file says") {
  const Config before = base();
  Config after = before;
  after.targets[0].by_hand = ByHand{TargetState::down, std::nullopt};
  CHECK(describe_changes(before, after) == Lines{"target [0] is down by hand (was active)"});
  CHECK(describe_changes(after, before) == Lines{"target [0] is active (was down by hand)"});
  Config file = after;
  file.targets[0].state = TargetState::draining;
  CHECK(describe_changes(after, file) == Lines{"target [0] stays down by hand; the file says draining now"});
  after.targets[0].by_hand = ByHand{TargetState::active, parse_mac("0:0:0:1:1:9").value()};
  CHECK(describe_changes(before, after) ==
        Lines{"target [0] is active by hand (was active)", "target [0] has MAC 00:00:00:01:01:09"});
}

TEST_CASE("of a service: targets by name, and numbers") {
  Config before = base();
  for (uint8_t i = 1; i < 3; ++i) before.targets[i].mac = MacAddr{{2, i}};
  before.services[0].targets = {TargetUse{0, std::nullopt}, TargetUse{1, std::nullopt}};
  Config after = before;
  after.origin.file = "/etc/lb.json";
  after.services[0].targets = {TargetUse{2, std::nullopt}, TargetUse{1, 3}};
  after.services[0].table_size = 101;
  after.services[0].need = 2;
  CHECK(describe_changes(before, after) ==
        Lines{"the configuration comes from /etc/lb.json (was set up by hand)",
              "service [default]: target [1] has weight 3 (was its own)", "service [default]: target [2] added",
              "service [default]: target [0] removed", "service [default]: table_size 101 (was 997)",
              "service [default]: need 2 (was 1)"});
  // The same targets at other places of the list.
  after = before;
  std::swap(after.targets[0], after.targets[1]);
  std::swap(after.services[0].targets[0].target, after.services[0].targets[1].target);
  CHECK(describe_changes(before, after).empty());
}

TEST_CASE("what came and what went is said, and other changes of a service at least mentioned") {
  const Config before = base();
  Config after = before;
  Service web;
  web.name = "web";
  after.services.push_back(web);
  after.hash_seed = 7;
  CHECK(describe_changes(before, after) ==
        Lines{"service [web] added", "hash seed 7 (was 0): new flows choose other targets"});
  CHECK(describe_changes(after, before).front() == "service [web] removed");
  Config changed = after;
  changed.services.back().timeouts.udp_s = 5;
  CHECK(describe_changes(after, changed) == Lines{"service [web]: changed"});
  changed = before;
  changed.targets.erase(changed.targets.begin());
  changed.services[0].targets.clear();
  CHECK(describe_changes(before, changed) == Lines{"target [0] removed", "service [default]: target [0] removed"});
}

}  // namespace
}  // namespace xdplb
