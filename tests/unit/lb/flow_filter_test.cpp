#include "user/lb/flow_filter.h"

#include <netinet/in.h>

#include <catch2/catch.hpp>

#include "tests/support/flow_fixture.h"

namespace xdplb {
namespace {

using Terms = std::vector<std::string>;

// Two services of three targets; target "2" has had another in its place before.
Config two_services() {
  Config config = make_default_config(997, 3);
  for (Target& target : config.targets) target.epoch = 4;
  config.targets[2].epoch = 5;
  Service web;
  web.name = "web";
  web.id = 7;
  web.targets = {{0, {}}};
  config.services.push_back(web);
  return config;
}

FlowRecord established(uint16_t target = 1, uint64_t idle_s = 10) {
  FlowRecord flow;
  flow.key = flow_key(5);  // 11.0.0.1:1029 -> 10.0.0.1:80, tcp
  flow.target = {target, 4};
  flow.service = 7;
  flow.state = FlowState::established;
  const Timeouts timeouts;
  flow.expires_in_ns = (timeouts.tcp_established_s - idle_s) * kSecond;
  flow.age_ns = 60 * kSecond;
  return flow;
}

bool matches(const Terms& terms, const FlowRecord& flow, uint32_t worker = 3) {
  const auto filter = parse_flow_filter(terms);
  REQUIRE(filter);
  const auto matcher = FlowMatcher::create(*filter, two_services());
  REQUIRE(matcher);
  return matcher->matches(worker, flow);
}

std::string error_of(const Terms& terms) {
  const auto filter = parse_flow_filter(terms);
  if (!filter) return filter.error().message;
  const auto matcher = FlowMatcher::create(*filter, two_services());
  return matcher ? "" : matcher.error().message;
}

}  // namespace

TEST_CASE("flow filter: each key, alone") {
  CHECK(matches({}, established()));
  struct Case {
    const char *yes, *no;
  };
  const Case cases[] = {{"service=web", "service=default"},   {"target=1", "target=0"},
                        {"target=0,1", "target=0,2"},         {"state=established", "state=syn,fin,rst"},
                        {"worker=2,3", "worker=0"},           {"proto=tcp", "proto=udp"},
                        {"proto=17,6", "proto=sctp"},         {"src=11.0.0.0/8", "src=2.0.0.0/8"},
                        {"src=11.0.0.1", "src=1.0.0.12,::1"}, {"dst=10.0.0.1", "dst=1000::/64"},
                        {"sport=1,1029", "sport=80"},         {"dport=80", "dport=1029"},
                        {"min-idle=9s", "min-idle=11s"},      {"max-idle=11s", "max-idle=9s"},
                        {"min-age=1m", "min-age=61s"},        {"max-age=60s", "max-age=59s"}};
  for (const Case& c : cases) {
    CAPTURE(c.yes, c.no);
    CHECK(matches({c.yes}, established()));
    CHECK_FALSE(matches({c.no}, established()));
    CHECK_FALSE(matches({c.yes, c.no[0] == 'w' ? "proto=udp" : "worker=0"}, established()));
  }
}

TEST_CASE("flow filter: a target that is gone is nobody's") {
  const FlowRecord flow = established(2);
  const auto matcher = FlowMatcher::create({}, two_services());
  CHECK(matcher->names(flow).target.empty());
  CHECK(matcher->names(flow).service == "web");
  CHECK_FALSE(matches({"target=2"}, flow));
  CHECK(matches({"service=web"}, flow));
}

TEST_CASE("flow filter: what cannot be is named") {
  CHECK(error_of({"colour=red"}).starts_with("Invalid filter [colour=red]: KEY is one of service, target, state"));
  CHECK(error_of({"web"}).starts_with("Invalid filter [web]: KEY=VALUE"));
  CHECK(error_of({"state=open"}) ==
        "Invalid filter [state=open]: [open] is not one of syn, unconfirmed, established, fin, rst, udp, other");
  CHECK(error_of({"sport=70000"}) == "Invalid filter [sport=70000]: [70000] is not a port");
  CHECK(error_of({"sport=80,"}) == "Invalid filter [sport=80,]: [] is not a port");
  CHECK(error_of({"worker=-1"}) == "Invalid filter [worker=-1]: [-1] is not a number");
  CHECK(error_of({"src=10.0.0.300"}) == "Invalid filter [src=10.0.0.300]: [10.0.0.300] is not an address or prefix");
  CHECK(error_of({"min-idle=long"}) == "Invalid filter [min-idle=long]: a number and ms, s, m or h, as 30s");
  CHECK(error_of({"target="}) == "Invalid filter [target=]: [] is not a name");
  CHECK(error_of({"target=1", "target=2"}) == "Invalid filter [target=2]: target is given twice; use commas");
  CHECK(error_of({"target=vm-009"}) == "Unknown target [vm-009]");
  CHECK(error_of({"service=wbe"}) == "Unknown service [wbe]");
}

}  // namespace xdplb
