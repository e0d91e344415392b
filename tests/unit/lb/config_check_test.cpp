#include "user/lb/config_check.h"

#include <catch2/catch.hpp>

namespace xdplb {
namespace {

using Lines = std::vector<std::string>;

Lines warnings_of(const Config& config) {
  Lines lines;
  for (const ConfigWarning& warning : config_warnings(config)) lines.push_back(warning.path + ": " + warning.text);
  return lines;
}

Config sound_config() {
  Config config = make_default_config(997, 2);
  for (uint8_t i = 0; i < 2; ++i) {
    config.targets[i].mac = MacAddr{{2, 0, 0, 0, 0, i}};
    config.targets[i].state = TargetState::active;
  }
  Service& web = config.services[0];
  web.name = "web";
  web.is_default = false;
  web.vips = {parse_prefix("10.0.0.0/24").value()};
  return config;
}

TEST_CASE("config check: nothing is odd about a sound one") {
  CHECK(warnings_of(sound_config()).empty());
}

TEST_CASE("config check: targets and services that do nothing") {
  Config config = sound_config();
  config.services[0].targets.pop_back();
  CHECK(warnings_of(config) == Lines{"targets[1]: target \"1\" is in no service: it takes nothing"});
  config.services[0].vips.clear();
  config.targets[0].state = TargetState::draining;
  CHECK(warnings_of(config) == Lines{"targets[1]: target \"1\" is in no service: it takes nothing",
                                     "services[0]: service \"web\" has no VIP: it gets nothing",
                                     "services[0].targets: service \"web\" has no usable target: its packets are "
                                     "dropped"});
}

TEST_CASE("config check: too few targets, too small a table") {
  Config config = sound_config();
  config.services[0].need = 2;
  config.targets[1].weight = 0;
  config.services[0].table_size = 97;
  CHECK(warnings_of(config) ==
        Lines{"services[0].need: service \"web\" needs 2 usable targets and has 1: not ready",
              "services[0].table_size: a table of 97 for 1 targets spreads unevenly; take 100 or more"});
}

TEST_CASE("config check: overlaps, each pair once") {
  Config config = sound_config();
  Service dns = config.services[0];
  dns.name = "dns";
  dns.listen = {Listen{17, {{53, 53}}}, Listen{6, {{53, 53}}}};
  config.services.push_back(dns);
  const std::string rule = ": the longer prefix wins, then the narrower range of ports, then a protocol over any";
  CHECK(warnings_of(config) == Lines{"services[0].vips: services \"web\" and \"dns\" overlap on 10.0.0.0/24" + rule});
  config.services[1].vips = {parse_prefix("10.0.0.8").value(), parse_prefix("10.0.0.9").value()};
  CHECK(warnings_of(config) == Lines{"services[1].vips: services \"dns\" and \"web\" overlap on 10.0.0.8/32" + rule});
  // Other ports, other protocols, other addresses: none.
  config.services[0].listen = {Listen{6, {{54, 60}, {1, 52}}}, Listen{1, {}}};
  CHECK(warnings_of(config).empty());
  config.services[0].listen.clear();
  config.services[1].vips = {parse_prefix("10.0.1.0").value()};
  CHECK(warnings_of(config).empty());
}

}  // namespace
}  // namespace xdplb
