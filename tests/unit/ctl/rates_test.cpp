#include "user/ctl/rates.h"

#include <catch2/catch.hpp>
#include <sstream>

#include "user/base/clock.h"
#include "user/base/reason.h"

namespace xdplb {
namespace {

DaemonStats at(uint64_t seconds, uint64_t factor) {
  DaemonStats stats;
  stats.pid = 7;
  stats.generation = 4;
  stats.written_monotonic_ns = (100 + seconds) * kNsPerSec;
  stats.reasons = reason_names();
  WorkerStats& worker = stats.workers.emplace_back();
  worker.name = "eth2/0";
  worker.rx = 3000 * factor;
  worker.tx = 2000 * factor;
  worker.busy_ns = factor * kNsPerSec;
  worker.flows = 12;
  worker.drops.assign(stats.reasons.size(), 0);
  worker.drops[static_cast<size_t>(Reason::no_target)] = 1000 * factor;
  for (uint64_t i = 0; i < 40; ++i) {
    TargetStats& target = stats.targets.emplace_back();
    target.name = fmt::format("vm-{:03}", i);
    target.packets = i * 10 * factor;
    target.bytes = i * 1000 * factor;
  }
  stats.services.push_back({"web", 2000 * factor, 128'000 * factor, 0, 12, 0, 0, 0});
  return stats;
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> all;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) all.push_back(line);
  return all;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("rates as one reads them") {
  CHECK(rate_text(0) == "0");
  CHECK(rate_text(0.5) == "0.50");
  CHECK(rate_text(12.34) == "12.3");
  CHECK(rate_text(999) == "999");
  CHECK(rate_text(999.6) == "1.00k");
  CHECK(rate_text(2'345'678) == "2.35M");
  CHECK(rate_text(9.99e15) == "9990T");
}

TEST_CASE("a screen of rates: the largest first, all sections, within its size") {
  const std::string text = rates_text(at(0, 1), at(2, 3), {80, 24});
  CHECK(has(text, "xdplb, pid 7, generation 4\n"));
  CHECK(has(text, "in 3.00k/s, out 2.00k/s (1.02Mbit/s), dropped 1.00k/s, held 0, flows 12\n"));
  CHECK(has(text, "eth2/0                        3.00k      2.00k      1.00k      100 %         12"));
  CHECK(has(text, "no_target                     1.00k"));
  CHECK_FALSE(has(text, "tx_full"));
  CHECK(text.find("vm-039") < text.find("vm-038"));
  CHECK(has(text, "... and "));
  CHECK(lines(text).size() <= 24);
  for (const std::string& line : lines(text)) CHECK(line.size() <= 80);
}

TEST_CASE("every size has a screen") {
  for (const size_t height : std::initializer_list<size_t>{1, 2, 3, 5, 8, 24, 200}) {
    CAPTURE(height);
    const auto shown = lines(rates_text(at(0, 1), at(2, 3), {40, height}));
    CHECK(shown.size() <= height);
    for (const std::string& line : shown) CHECK(line.size() <= 40);
  }
  CHECK(has(rates_text(at(0, 1), at(2, 3), {80, 200}), "vm-000"));
}

TEST_CASE("another daemon, no time between, or a counter that went down: no rate") {
  DaemonStats other = at(2, 3);
  other.pid = 8;
  CHECK(has(rates_text(at(0, 1), other, {}), "in 0/s, out 0/s"));
  CHECK(has(rates_text(at(2, 1), at(2, 3), {}), "in 0/s, out 0/s"));
  CHECK(has(rates_text(at(0, 3), at(2, 1), {}), "in 0/s, out 0/s"));
  CHECK(has(rates_text({}, {}, {}), "in 0/s"));
}

TEST_CASE("a name cannot steer the terminal") {
  DaemonStats stats = at(2, 3);
  stats.services[0].name = "\033[2Jw\x07";
  CHECK(has(rates_text(at(0, 1), stats, {}), "?[2Jw?"));
}

}  // namespace xdplb
