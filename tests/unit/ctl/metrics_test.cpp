#include "user/ctl/metrics.h"

#include <catch2/catch.hpp>
#include <set>
#include <sstream>

#include "user/base/clock.h"
#include "user/base/reason.h"
#include "user/ctl/counters.h"

namespace xdplb {
namespace {

DaemonStats sample() {
  DaemonStats stats;
  stats.started_realtime_ns = 12 * kNsPerSec + 5;
  stats.reasons = reason_names();
  stats.workers.resize(2);
  stats.workers[0].name = "eth2/0";
  stats.workers[1].name = "eth2/1";
  for (WorkerStats& worker : stats.workers) worker.drops.assign(stats.reasons.size(), 0);
  stats.workers[1].rx = 70;
  stats.workers[1].busy_ns = 1'500'000'000;
  stats.workers[0].drops[static_cast<size_t>(Reason::tx_full)] = 2;
  stats.workers[1].drops[static_cast<size_t>(Reason::tx_full)] = 3;
  stats.targets.resize(1);
  stats.targets[0].name = "a\"b\\c\nd";
  stats.targets[0].packets = 9;
  stats.services.resize(1);
  stats.services[0].name = "web";
  stats.services[0].table_digest = (uint64_t{1} << 53) - 1;
  stats.devices = {{"eth2", 1, 2, 3, 4}};
  stats.program.stale = 6;
  stats.egress_dropped = 8;
  return stats;
}

std::string text_of(const DaemonStats& stats) {
  return metrics_text({stats, Readiness{{"no"}, true, 3}, Adoption{3, 4, "why"}, true});
}

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

}  // namespace

TEST_CASE("metrics: values, labels and units") {
  const std::string text = text_of(sample());
  for (const char* line :
       {"xdplb_build_info{version=\"" XDPLB_VERSION "\"} 1", "xdplb_start_time_seconds 12.000000005", "xdplb_ready 0",
        "xdplb_going 1", "xdplb_data_plane_up 1", "xdplb_config_generation 3", "xdplb_config_refused 1",
        "xdplb_egress_device_dropped_packets_total 8",
        "xdplb_worker_info{worker=\"1\",queues=\"eth2/1\",cpu=\"0\"} 1",
        "xdplb_worker_received_packets_total{worker=\"0\"} 0", "xdplb_worker_received_packets_total{worker=\"1\"} 70",
        "xdplb_worker_busy_seconds_total{worker=\"1\"} 1.500000000",
        "xdplb_worker_dropped_packets_total{worker=\"1\"} 3", "xdplb_dropped_packets_total{reason=\"tx_full\"} 5",
        "xdplb_dropped_packets_total{reason=\"no_target\"} 0",
        "xdplb_program_not_redirected_packets_total{cause=\"stale\"} 6",
        "xdplb_device_receive_missed_packets_total{device=\"eth2\"} 2",
        "xdplb_service_table_digest{service=\"web\"} 9007199254740991",
        "xdplb_target_packets_total{target=\"a\\\"b\\\\c\\nd\"} 9"}) {
    CAPTURE(line);
    CHECK(has_line(text, line));
  }
  CHECK(text.find("reason=\"none\"") == std::string::npos);
}

TEST_CASE("metrics: each family stands once, with help and type, and its name says what it is") {
  std::istringstream lines(text_of(sample()));
  std::set<std::string> families;
  std::string family, type;
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    std::istringstream words(line);
    std::string mark, what, name;
    if (line.starts_with("# HELP ")) {
      words >> mark >> what >> family;
      CHECK(families.insert(family).second);
    } else if (line.starts_with("# TYPE ")) {
      words >> mark >> what >> name >> type;
      CHECK(name == family);
      CHECK((type == "counter") == name.ends_with("_total"));
    } else {
      CHECK(line.substr(0, line.find_first_of("{ ")) == family);
    }
  }
  CHECK(families.size() > 40);
}

TEST_CASE("metrics: a page of 4096 services and as many targets as there can be") {
  DaemonStats stats = sample();
  stats.services.resize(4096);
  for (size_t i = 0; i < stats.services.size(); ++i) stats.services[i].name = fmt::format("service-{}", i);
  stats.targets.resize(4096 * 64 / 4);
  for (size_t i = 0; i < stats.targets.size(); ++i) stats.targets[i].name = fmt::format("target-{}", i);
  const std::string text = text_of(stats);
  CHECK(has_line(text, "xdplb_service_packets_total{service=\"service-4095\"} 0"));
  CHECK(has_line(text, "xdplb_target_flows{target=\"target-65535\"} 0"));
}

}  // namespace xdplb
