#include "user/path/readiness.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "user/base/clock.h"

namespace xdplb {
namespace {

using Reasons = std::vector<std::string>;

ReadinessFacts good() {
  ReadinessFacts facts;
  facts.now_ns = 100 * kNsPerSec;
  facts.hung_after_ns = hung_after_ns(1000);
  facts.workers = {{"eth2/0", facts.now_ns - 100 * kNsPerMs}, {"eth2/1", facts.now_ns}};
  facts.services = {{"web", 1, 1}, {"later", 0, 0}};
  facts.generation = 4;
  return facts;
}

Config two_targets() {
  Config config = make_default_config(97, 2);
  for (uint8_t i = 0; i < 2; ++i) {
    config.targets[i].mac = MacAddr{{0, 0, 0, 1, 1, static_cast<uint8_t>(i + 1)}};
    config.targets[i].state = TargetState::active;
  }
  Config named;
  REQUIRE(assign_identities(named, config));
  return config;
}

std::vector<ServiceNeed> needs(const Config& config) {
  return needs_of(config, *compile_snapshot(config, 1));
}

}  // namespace

TEST_CASE("ready where everything is as it should be") {
  const Readiness readiness = judge(good());
  CHECK(readiness.is_ready());
  CHECK_FALSE(readiness.going);
  CHECK(readiness.generation == 4);
  CHECK(readiness_to_text(readiness) == "ready\n");
}

TEST_CASE("each thing that is wrong is a reason of its own") {
  ReadinessFacts facts = good();
  facts.going_because = "it was told to stop by SIGTERM";
  facts.plane_lost_because = "[eth2] is down";
  facts.workers[1].beat_ns = facts.now_ns - 2 * kNsPerSec;
  facts.services = {{"web", 1, 3}, {"dns", 0, 1}};
  const Readiness readiness = judge(facts);
  CHECK(readiness.reasons == Reasons{"going: it was told to stop by SIGTERM", "no data plane: [eth2] is down",
                                     "worker eth2/1 gave no sign of life for 2.0 s",
                                     "service web has 1 of 3 usable targets that it needs",
                                     "service dns has 0 of 1 usable target that it needs"});
  CHECK(readiness.going);
  CHECK(readiness_to_text({{"a", "b"}, false, 0}) == "not ready: a\nnot ready: b\n");
}

TEST_CASE("a worker hangs when its queue falls back, and not before") {
  ReadinessFacts facts = good();
  facts.workers[0].beat_ns = facts.now_ns - facts.hung_after_ns;
  CHECK(judge(facts).is_ready());
  CHECK(all_progress(facts));
  facts.workers[0].beat_ns -= 1;
  CHECK_FALSE(judge(facts).is_ready());
  CHECK_FALSE(all_progress(facts));
  facts.workers[0].beat_ns = facts.now_ns + 5;  // it beat after the clock was read
  CHECK(all_progress(facts));
  CHECK(hung_after_ns(0) == 1250 * kNsPerMs);
  CHECK(hung_after_ns(400) == 500 * kNsPerMs);
}

TEST_CASE("nothing configured is not ready") {
  ReadinessFacts facts = good();
  facts.services.clear();
  CHECK(judge(facts).reasons == Reasons{"no service is configured"});
}

TEST_CASE("usable is a target that takes new flows") {
  Config config = two_targets();
  Service& service = config.services[0];
  REQUIRE(service.targets.size() == 2);
  CHECK(needs(config)[0].usable == 2);
  config.targets[0].state = TargetState::draining;
  CHECK(needs(config)[0].usable == 1);
  config.targets[0].state = TargetState::active;
  config.targets[0].mac = {};
  CHECK(needs(config)[0].usable == 1);
  service.targets[1].weight = 0;
  CHECK(needs(config)[0].usable == 0);
  CHECK(needs(config)[0].needed == 1);
}

TEST_CASE("a service needs as many as its configuration says") {
  Config config = two_targets();
  config.services[0].need = 2;
  CHECK(needs(config)[0].needed == 2);
  config.services[0].targets.clear();
  config.services[0].need = 0;
  CHECK(needs(config)[0].usable == config.services[0].need);
}

TEST_CASE("readiness as JSON is for programs") {
  const auto json = nlohmann::json::parse(readiness_to_json({{"no data plane: \xff"}, true, 7}));
  CHECK(json ==
        nlohmann::json{
            {"ready", false}, {"going", true}, {"generation", 7}, {"reasons", {"no data plane: \xef\xbf\xbd"}}});
}

}  // namespace xdplb
