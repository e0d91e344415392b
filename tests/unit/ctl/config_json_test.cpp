#include "user/ctl/config_json.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace xdplb {
namespace {

// The example of the file format's description.
constexpr std::string_view kExample = R"({"version": 1, "hash_seed": 7, // a comment
 "targets":  [{"name": "vm-001", "mac": "00:00:00:01:01:01", "weight": 1, "state": "active"},
              {"name": "vm-002", "address": "192.168.1.2"}],
 "services": [{"name": "web", "vips": ["10.0.0.0/32", "1000::/128"],
               "listen": [{"protocol": "tcp", "ports": ["80", "5000-5010", 443]}, {"protocol": "udp"}],
               "targets": ["vm-001", "vm-002"], "table_size": 10007,
               "timeouts": {"tcp_established_s": 900}}]})";

std::string error_of(std::string_view text) {
  const auto config = config_from_json(text);
  return config ? "" : config.error().message;
}

// A file with one service, whose members follow.
std::string with_service(const std::string& members) {
  return R"({"targets": [{"name": "a", "mac": "2:0:0:0:0:1"}], "services": [{"name": "web", )" + members + "}]}";
}
std::string with_target(const std::string& members) {
  return R"({"targets": [{"name": "a", )" + members + "}]}";
}

// Groups, and a service with these targets.
std::string with_group(const std::string& groups, const std::string& used = "") {
  return R"({"services": [{"name": "web", "targets": [)" + used + R"(]}], "groups": [)" + groups +
         R"(], "targets": [{"name": "a", "mac": "2:0:0:0:0:1"}, {"name": "b", "mac": "2:0:0:0:0:2"}]})";
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("config file: the example") {
  const auto config = config_from_json(kExample);
  REQUIRE(config);
  CHECK(config->hash_seed == 7);
  REQUIRE(config->targets.size() == 2);
  CHECK(to_string(config->targets[0].mac) == "00:00:00:01:01:01");
  CHECK(config->targets[0].state == TargetState::active);
  CHECK_FALSE(config->targets[1].has_mac());
  CHECK(to_string(config->targets[1].address.value()) == "192.168.1.2");
  CHECK(config->targets[1].id == 1);
  REQUIRE(config->services.size() == 1);
  const Service& web = config->services[0];
  REQUIRE(web.vips.size() == 2);
  CHECK(to_string(web.vips[1]) == "1000::/128");
  REQUIRE(web.listen.size() == 2);
  CHECK(web.listen[0].protocol == 6);
  CHECK(web.listen[0].ports == std::vector<PortRange>{{80, 80}, {5000, 5010}, {443, 443}});
  CHECK(web.listen[1].ports.empty());
  CHECK(web.targets[1].target == 1);
  CHECK(web.table_size == 10007);
  CHECK(web.timeouts.tcp_established_s == 900);
  CHECK_FALSE(web.is_default);
}

TEST_CASE("config file: a group stands for its targets") {
  const auto config = config_from_json(with_group(
      R"({"name": "g", "description": "both", "targets": ["b", {"name": "a", "weight": 3}]}, {"name": "h", "targets": ["b"]})",
      R"("g")"));
  REQUIRE(config);
  CHECK(config->services[0].targets == std::vector<TargetUse>{{1, std::nullopt}, {0, 3}});
}

TEST_CASE("config file: everything may be left out") {
  CHECK(config_from_json("{}").value() == Config{});
  const auto config = config_from_json(R"({"services": [{"name": "default"}]})");
  REQUIRE(config);
  CHECK(config->services[0].is_default);
  CHECK(config->services[0].listen.empty());
}

TEST_CASE("config file: what is wrong is named with its path and value") {
  const std::pair<std::string, std::string> cases[] = {
      {with_service(R"("vips": ["10.0.0.300/32"])"),
       R"(services[0].vips[0]: "10.0.0.300/32" is not an address or prefix)"},
      {with_service(R"("vips": [10])"), "services[0].vips[0]: 10 is not an address or prefix"},
      {with_service(R"("vips": "10.0.0.1")"), R"(services[0].vips: "10.0.0.1" is not an array)"},
      {with_service(R"("table_size": 10000)"), "services[0].table_size: 10000 is not prime (9973 is)"},
      {with_service(R"("table_size": -1)"), "services[0].table_size: -1 is not a number from 2 to 1048576"},
      {with_service(R"("table_size": 7.5)"), "services[0].table_size: 7.5 is not a number from 2 to 1048576"},
      {with_service(R"("targets": ["b"])"), R"(services[0].targets[0]: "b" is not the name of a target or a group)"},
      {with_service(R"("targets": ["a", "a"])"), R"(services[0].targets[1]: "a" is listed twice)"},
      {with_service(R"("targets": [{"name": "a", "weight": 1001}])"),
       "services[0].targets[0].weight: 1001 is not a number from 0 to 1000"},
      {with_service(R"("targets": [{"weight": 1}])"), "services[0].targets[0].name: is missing"},
      {with_service(R"("listen": [{"protocol": "tpc"}])"),
       R"(services[0].listen[0].protocol: "tpc" is no protocol: tcp, udp, sctp, icmp, any or 1 to 255)"},
      {with_service(R"("listen": [{"protocol": "tcp", "ports": ["80-70"]}])"),
       R"(services[0].listen[0].ports[0]: "80-70" is not a port or a range of ports)"},
      {with_service(R"("listen": [{"protocol": "tcp", "ports": [65536]}])"),
       "services[0].listen[0].ports[0]: 65536 is not a port or a range of ports"},
      {with_service(R"("listen": [{"protocol": "tcp", "ports": ["80 "]}])"),
       R"(services[0].listen[0].ports[0]: "80 " is not a port or a range of ports)"},
      {with_service(R"("listen": [{"protocol": "tcp", "ports": []}])"),
       "services[0].listen[0].ports: is empty; leave it out for all ports"},
      {with_service(R"("listen": [{"ports": [80]}])"),
       "services[0].listen[0].ports: only TCP, UDP and SCTP have ports, protocol 0 has none"},
      {with_service(R"("on_empty": "reject")"), R"(services[0].on_empty: "reject" is none of drop, pass)"},
      {with_service(R"("timeouts": {"udp": 3})"),
       "services[0].timeouts.udp: unknown key; there are other_s, tcp_established_s, tcp_fin_s, tcp_rst_s, "
       "tcp_syn_s, "
       "udp_s"},
      {with_service(R"("timeouts": [])"), "services[0].timeouts: an array is not an object"},
      {with_service(R"("vips": [], "vips": [])"), "services[0].vips: is given twice"},
      {with_target(R"("mac": "zz")"), R"(targets[0].mac: "zz" is not a MAC address)"},
      {with_target(R"("mac": "ff:ff:ff:ff:ff:ff")"),
       R"(targets[0].mac: "ff:ff:ff:ff:ff:ff" is not the MAC of one device)"},
      {with_target(R"("address": "10.0.0.0/8")"), R"(targets[0].address: "10.0.0.0/8" is not an address)"},
      {with_target(R"("weight": "x")"), R"(targets[0].weight: "x" is not a number from 0 to 1000)"},
      {with_target(R"("state": "up")"), R"(targets[0].state: "up" is none of active, draining, down)"},
      {with_target(R"("weight": 1)"), R"(targets[0]: needs "mac" or "address", unless its state is "down")"},
      {R"({"targets": [{"mac": "2:0:0:0:0:1"}]})", "targets[0].name: is missing"},
      {R"({"targets": [{"name": 1, "mac": "2:0:0:0:0:1"}]})", "targets[0].name: 1 is not a string"},
      {R"({"targets": [{"name": "a", "mac": "2:0:0:0:0:1"}, {"name": "a", "mac": "2:0:0:0:0:2"}]})",
       R"(targets[1].name: "a" is the name of targets[0] too)"},
      {R"({"targets": [{"name": "a", "mac": "2:0:0:0:0:1"}, {"name": "b", "mac": "2:0:0:0:0:1"}]})",
       "targets[1].mac: 02:00:00:00:00:01 is that of targets[0] too"},
      {with_target(R"("mac": "2:0:0:0:0:1", "mc": 1)"),
       "targets[0].mc: unknown key; there are address, description, mac, name, state, unreachable, weight"},
      {with_service(R"("vip": [])"),
       "services[0].vip: unknown key; there are algorithm, description, embryonic_quota_percent, fallback, "
       "flow_quota_percent, hash, listen, name, need, on_empty, pass_vips, table_size, targets, timeouts, vips"},
      {with_service(R"("listen": [{"protocol": "tcp", "port": 80}])"),
       "services[0].listen[0].port: unknown key; there are ports, protocol"},
      {with_service(R"("targets": [{"name": "a", "wait": 1}])"),
       "services[0].targets[0].wait: unknown key; there are name, weight"},
      {with_service(R"("need": 2, "targets": ["a"])"), "services[0].need: 2 is more than its targets, 1"},
      {with_target(R"("mac": "2:0:0:0:0:1", "unreachable": "drop")"),
       R"(targets[0].unreachable: "drop" is none of remove, keep)"},
      {with_group(R"({"name": "g"})"), "groups[0].targets: is missing"},
      {with_group(R"({"name": "a", "targets": []})"), R"(groups[0].name: "a" is the name of a target too)"},
      {with_group(R"({"name": "g", "targets": []}, {"name": "g", "targets": []})"),
       R"(groups[1].name: "g" is the name of another group too)"},
      {with_group(R"({"name": "g", "targets": ["a", "a"]})"), R"(groups[0].targets[1]: "a" is listed twice)"},
      {with_group(R"({"name": "g", "targets": []}, {"name": "h", "targets": ["g"]})"),
       R"(groups[1].targets[0]: "g" is not the name of a target)"},
      {with_group(R"({"name": "g", "targets": ["a"]})", R"("a", "g")"),
       R"(services[0].targets[1]: "a" is listed twice)"},
      {with_group(R"({"name": "g", "targets": ["a"]})", R"({"name": "g", "weight": 2})"),
       R"(services[0].targets[0].weight: "g" is a group: weights are for targets)"},
      {R"({"lb_tier": {"index": 3}})", "lb_tier.index: unknown key; there are members, own_index"},
      {R"({"version": 2})", "version: 2 is not a number from 1 to 1"},
      {R"({"servces": []})",
       "servces: unknown key; there are description, groups, hash_seed, lb_tier, services, targets, version"},
      {R"({"lb_tier": {"own_index": 3, "members": ["2:0:0:0:0:1"]}})",
       "lb_tier.own_index: 3 is not below the number of members, 1"},
      {"[]", "the file: an array is not an object"},
      {"", "parse error at line 1, column 1: "},
      {"{\n  \"version\": 1,,\n}", "parse error at line 2, column 16: "},
      {std::string(10, '['), "parse error at line 1, column 11: "},
  };
  for (const auto& [text, message] : cases) {
    CAPTURE(text, message);
    // Of a syntax error only the place is ours.
    const bool is_syntax = message.starts_with("parse error");
    CHECK((is_syntax ? error_of(text).substr(0, message.size()) : error_of(text)) == message);
  }
}

TEST_CASE("config file: depth is bounded") {
  const std::string deep = R"({"a": )" + std::string(50, '[') + std::string(50, ']') + "}";
  CHECK(error_of(deep).ends_with("nested deeper than 16"));
  CHECK(error_of(std::string(1'000'000, '[')).ends_with("nested deeper than 16"));
  CHECK_FALSE(error_of(std::string(100'000, '[') + std::string(100'000, ']')).empty());
}

TEST_CASE("config file: what is exported is read back") {
  Config config = make_default_config(101, 3);
  config.hash_seed = 18446744073709551615u;
  config.targets[0].mac = MacAddr{{2, 0, 0, 0, 0, 1}};
  config.targets[0].state = TargetState::draining;
  config.targets[0].weight = 0;
  config.targets[0].unreachable = Unreachable::keep;
  config.targets[0].description = "quotes \" and \\";
  config.services[0].vips = {parse_prefix("10.0.0.1").value(), parse_prefix("2000::/32").value()};
  config.services[0].pass_vips = {parse_prefix("10.0.0.1").value()};
  Service service = config.services[0];
  service.name = "web";
  service.is_default = false;
  service.id = 1;
  service.listen = {Listen{6, {{80, 80}, {1, 9}}}, Listen{47, {}}};
  service.targets = {TargetUse{2, 0}, TargetUse{1, std::nullopt}};
  service.need = 2;
  service.on_empty = OnEmpty::pass;
  service.hash_fields = HashFields::addresses;
  service.algorithm = Algorithm::rendezvous;
  service.timeouts.other_s = 5;
  service.fallback_pass = true;
  service.flow_quota_percent = 7;
  service.embryonic_quota_percent = 8;
  config.services.push_back(service);
  config.lb_tier = {0, {MacAddr{{2, 0, 0, 0, 0, 8}}}};
  REQUIRE(validate_config(config));
  const auto back = config_from_json(config_to_json(config));
  REQUIRE(back);
  CHECK(*back == config);
  // Marks by hand are not the file's.
  config.targets[0].by_hand = ByHand{TargetState::active, MacAddr{{2, 0, 0, 0, 0, 2}}};
  CHECK(config_from_json(config_to_json(config)).value() == *back);
}

TEST_CASE("config file: each example loads, and the schema knows what they use") {
  const auto schema = nlohmann::json::parse(read_file("configs/xdplb.schema.json"));
  const auto& service_keys = schema["$defs"]["service"]["properties"];
  const auto& target_keys = schema["$defs"]["target"]["properties"];
  const auto& group_keys = schema["$defs"]["group"]["properties"];
  int examples = 0;
  for (const auto& entry : std::filesystem::directory_iterator("configs")) {
    const std::string name = entry.path().filename();
    if (!name.ends_with(".json") || name.ends_with(".schema.json") || name.starts_with("grafana-")) continue;
    ++examples;
    CAPTURE(name);
    const std::string text = read_file(entry.path());
    CHECK(error_of(text).empty());
    const auto json = nlohmann::json::parse(text, nullptr, true, true);
    for (const auto& [key, value] : json.items()) CHECK(schema["properties"].contains(key));
    for (const auto& target : json.value("targets", nlohmann::json::array())) {
      for (const auto& [key, value] : target.items()) CHECK(target_keys.contains(key));
    }
    for (const auto& group : json.value("groups", nlohmann::json::array())) {
      for (const auto& [key, value] : group.items()) CHECK(group_keys.contains(key));
    }
    for (const auto& service : json.value("services", nlohmann::json::array())) {
      for (const auto& [key, value] : service.items()) CHECK(service_keys.contains(key));
    }
  }
  CHECK(examples >= 3);
  // What the schema knows, the reader knows: a wrong type is refused, not the key.
  for (const auto& [key, value] : service_keys.items()) {
    if (key == "name") continue;
    CHECK(error_of(with_service("\"" + key + "\": null")).find("unknown key") == std::string::npos);
  }
  for (const auto& [key, value] : target_keys.items()) {
    if (key == "name") continue;
    CHECK(error_of(with_target("\"" + key + "\": null")).find("unknown key") == std::string::npos);
  }
}

}  // namespace xdplb
