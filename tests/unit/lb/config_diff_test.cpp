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
  CHECK(describe_changes(before, changed) == Lines{"target [0] removed", "service [default]: changed"});
}

}  // namespace
}  // namespace xdplb
