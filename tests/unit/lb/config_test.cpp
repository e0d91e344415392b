#include "user/lb/config.h"

#include <catch2/catch.hpp>
#include <functional>

namespace xdplb {
namespace {

IpPrefix prefix(std::string_view text) {
  const auto parsed = parse_prefix(text);
  REQUIRE(parsed);
  return *parsed;
}

Config with_targets(std::initializer_list<const char*> names) {
  Config config;
  for (const char* name : names) config.targets.emplace_back().name = name;
  return config;
}

// Two services on one VIP each, valid.
Config two_services() {
  Config config = with_targets({"a", "b"});
  for (const char* name : {"web", "dns"}) {
    Service& service = config.services.emplace_back();
    service.name = name;
    service.targets = {TargetUse{0, std::nullopt}, TargetUse{1, 5}};
  }
  config.services[0].vips = {prefix("10.0.0.1/32")};
  config.services[1].vips = {prefix("1000::/64")};
  REQUIRE(assign_identities(Config{}, config));
  return config;
}

}  // namespace

TEST_CASE("config: the default configuration is valid and has nobody active") {
  const Config config = make_default_config(997, 20);
  REQUIRE(validate_config(config));
  REQUIRE(config.targets.size() == 20);
  REQUIRE(default_service(config) != nullptr);
  CHECK(default_service(config) == find_service(config, "default"));
  CHECK(default_service(config)->table_size == 997);
  CHECK(config.targets[7].name == "7");
  CHECK(config.targets[7].state == TargetState::down);
  CHECK(config.targets[7].id == 7);
  CHECK_FALSE(config.targets[7].has_mac());
  CHECK(find_service(config, "web") == nullptr);
}

TEST_CASE("config: every wrong value is refused with its path") {
  struct Case {
    std::function<void(Config&)> spoil;
    std::string message;
  };
  const Case cases[] = {
      {[](Config& c) { c.services[0].table_size = 10000; }, "services[0].table_size: 10000 is not prime (9973 is)"},
      {[](Config& c) { c.services[1].table_size = 1; }, "services[1].table_size: 1 is not within 2 to 1048576"},
      {[](Config& c) {
         c.services[0].table_size = 1048573;
         c.services[0].algorithm = Algorithm::rendezvous;
         for (uint32_t i = 2; i < 300; ++i) {
           Target& target = c.targets.emplace_back();
           target.name = std::to_string(i);
           target.id = static_cast<uint16_t>(i);
           c.services[0].targets.push_back({i, std::nullopt});
         }
       },
       "services[0].table_size: 1048573 is too large for rendezvous with 300 targets, at most 894779; or take "
       "maglev"},
      {[](Config& c) { c.targets[1].name = "a"; }, "targets[1].name: \"a\" is the name of targets[0] too"},
      {[](Config& c) { c.targets[1].name = ""; }, "targets[1].name: is empty"},
      {[](Config& c) { c.targets[1].name = "x\ny"; },
       "targets[1].name: \"x\ny\" may hold letters, digits and ._:@/- only"},
      {[](Config& c) { c.targets[1].name = std::string(64, 'x'); },
       "targets[1].name: \"" + std::string(64, 'x') + "\" is longer than 63 bytes"},
      {[](Config& c) { c.targets[1].id = c.targets[0].id; }, "targets[1]: id 0 is that of targets[0] too"},
      {[](Config& c) { c.targets[1].id = 65535; }, "targets[1]: id 65535 is not below 65535"},
      {[](Config& c) { c.targets[0].weight = 1001; }, "targets[0].weight: 1001 is not within 0 to 1000"},
      {[](Config& c) { c.targets[0].description = std::string(256, 'x'); },
       "targets[0].description: is longer than 255 bytes"},
      {[](Config& c) { c.targets[0].description = "\x1b[2J"; }, "targets[0].description: holds control characters"},
      {[](Config& c) { c.services[1].name = "web"; }, "services[1].name: \"web\" is the name of services[0] too"},
      {[](Config& c) { c.services[1].name = "default"; },
       "services[1].name: \"default\": the default service is called \"default\", and no other"},
      {[](Config& c) { c.services[1].is_default = true; },
       "services[1].name: \"dns\": the default service is called \"default\", and no other"},
      {[](Config& c) { c.services[1].id = kMaxServices; }, "services[1]: id 8192 is not below 8192"},
      {[](Config& c) { c.services[0].targets[1].target = 2; }, "services[0].targets[1]: there is no target 2"},
      {[](Config& c) { c.services[0].targets[1].target = 0; }, "services[0].targets[1]: \"a\" is listed twice"},
      {[](Config& c) { c.services[0].targets[1].weight = 2000; },
       "services[0].targets[1].weight: 2000 is not within 0 to 1000"},
      {[](Config& c) { c.services[0].vips[0].len = 120; },
       "services[0].vips[0]: 10.0.0.1/24 has bits set beyond its length"},
      {[](Config& c) {
         c.services[0].vips[0] = IpPrefix{IpAddr{}, 80};
       },
       "services[0].vips[0]: ::/80 would take every IPv4 address too; use longer prefixes, such as 2000::/3"},
      {[](Config& c) { c.services[0].pass_vips = {prefix("10.0.0.2")}; },
       "services[0].pass_vips[0]: 10.0.0.2/32 is none of its vips"},
      {[](Config& c) {
         c.services[0].listen = {{47, {{1, 2}}}};
       },
       "services[0].listen[0].ports: only TCP, UDP and SCTP have ports, protocol 47 has none"},
      {[](Config& c) {
         c.services[0].listen = {{6, {{20, 10}}}};
       },
       "services[0].listen[0].ports[0]: \"20-10\" ends before it begins"},
      {[](Config& c) {
         c.services[0].listen = {{58, {}}};
       },
       "services[0].listen[0].protocol: icmp stands for ICMPv6 too"},
      {[](Config& c) { c.services[0].timeouts.udp_s = 0; },
       "services[0].timeouts.udp_s: 0 is not within 1 to 604800"},
      {[](Config& c) { c.services[0].flow_quota_percent = 101; },
       "services[0].flow_quota_percent: 101 is not within 1 to 100"},
      {[](Config& c) {
         c.lb_tier.members = {MacAddr{{2}}, MacAddr{{2}}};
       },
       "lb_tier.members[1]: 02:00:00:00:00:00 is lb_tier.members[0] too"},
      {[](Config& c) {
         c.lb_tier.members = {MacAddr{{2}}};
         c.lb_tier.own_index = 1;
       },
       "lb_tier.own_index: 1 is not below the number of members, 1"},
      {[](Config& c) {
         c.lb_tier.members = {MacAddr{{2}}, MacAddr{{4}}};
         c.targets[1].mac = MacAddr{{4}};
       },
       "targets[1].mac: 04:00:00:00:00:00 is lb_tier.members[1]"},
  };
  REQUIRE(validate_config(two_services()));
  for (const Case& test : cases) {
    Config config = two_services();
    test.spoil(config);
    const auto valid = validate_config(config);
    CAPTURE(test.message);
    REQUIRE_FALSE(valid);
    CHECK(valid.error().message == test.message);
  }
}

TEST_CASE("config: services may share a VIP where no packet could belong to two") {
  struct Case {
    std::vector<Listen> first, second;
    std::string message;  // empty: allowed
  };
  const Listen tcp_80{6, {{80, 80}}};
  const Listen tcp_all{6, {}};
  const Case cases[] = {
      {{tcp_80}, {Listen{6, {{81, 81}}}}, ""},
      {{tcp_80}, {Listen{17, {{80, 80}}}}, ""},
      {{tcp_80}, {tcp_all}, ""},
      {{tcp_all}, {}, ""},
      {{Listen{6, {{5000, 6000}}}}, {Listen{6, {{5500, 5500}}}}, ""},
      {{Listen{6, {{5000, 6000}, {80, 80}}}}, {Listen{6, {{100, 200}, {5900, 6000}}}}, ""},
      {{tcp_80},
       {tcp_80},
       "services[1].vips[0]: 10.0.0.1/32 tcp port 80 is taken by service \"web\" too (tcp port 80)"},
      {{tcp_all}, {tcp_all}, "services[1].vips[0]: 10.0.0.1/32 tcp is taken by service \"web\" too (tcp)"},
      {{}, {}, "services[1].vips[0]: 10.0.0.1/32 any protocol is taken by service \"web\" too (any protocol)"},
      {{Listen{6, {{10, 20}}}},
       {Listen{6, {{15, 25}}}},
       "services[1].vips[0]: 10.0.0.1/32 tcp ports 15-25 is taken by service \"web\" too (tcp ports 10-20)"},
      // Cut by one that lies in between.
      {{Listen{6, {{1, 100}, {10, 20}}}},
       {Listen{6, {{15, 30}}}},
       "services[1].vips[0]: 10.0.0.1/32 tcp ports 15-30 is taken by service \"web\" too (tcp ports 10-20)"},
  };
  for (const Case& test : cases) {
    Config config = two_services();
    config.services[1].vips = config.services[0].vips;
    config.services[0].listen = test.first;
    config.services[1].listen = test.second;
    const auto valid = validate_config(config);
    CHECK((valid ? "" : valid.error().message) == test.message);
  }
}

TEST_CASE("config: names keep their identity, a used id never comes back with its epoch") {
  Config first = with_targets({"a", "b", "c"});
  REQUIRE(assign_identities(Config{}, first));
  CHECK(first.targets[2].id == 2);
  const uint16_t epoch = first.targets[0].epoch;

  // b goes, d comes: d takes b's id with a newer epoch, the others stay what they were, in any order.
  Config second = with_targets({"c", "d", "a"});
  REQUIRE(assign_identities(first, second));
  CHECK(second.targets[0].id == 2);
  CHECK(second.targets[0].epoch == epoch);
  CHECK(second.targets[2].id == 0);
  CHECK(second.targets[1].id == 1);
  CHECK(second.targets[1].epoch != epoch);

  // d goes and comes again: not the d that flows may remember.
  Config third = with_targets({"c", "a"});
  REQUIRE(assign_identities(second, third));
  Config fourth = with_targets({"c", "a", "d"});
  REQUIRE(assign_identities(third, fourth));
  CHECK(fourth.targets[2].id == 1);
  CHECK(fourth.targets[2].epoch != second.targets[1].epoch);

  // Nothing new: nothing used up.
  Config fifth = fourth;
  REQUIRE(assign_identities(fourth, fifth));
  CHECK(fifth == fourth);
}

TEST_CASE("config: services keep their ids too") {
  Config first = two_services();
  CHECK(first.services[0].id == 0);
  CHECK(first.services[1].id == 1);
  Config second = first;
  second.services.erase(second.services.begin());
  second.services.emplace_back().name = "new";
  REQUIRE(assign_identities(first, second));
  CHECK(second.services[0].id == 1);
  CHECK(second.services[1].id == 0);
}

TEST_CASE("config: the fallback of a VIP") {
  Config config = two_services();
  Service& service = config.services[0];
  service.vips.push_back(prefix("10.0.0.2"));
  CHECK_FALSE(falls_back_to_pass(service, service.vips[1]));
  service.pass_vips = {prefix("10.0.0.2")};
  CHECK(falls_back_to_pass(service, service.vips[1]));
  CHECK_FALSE(falls_back_to_pass(service, service.vips[0]));
  service.fallback_pass = true;
  CHECK(falls_back_to_pass(service, service.vips[0]));
}

}  // namespace xdplb
