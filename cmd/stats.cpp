// xdplb stats: the counters that the daemon publishes.
#include <CLI/CLI.hpp>
#include <charconv>

#include "cmd/common.h"
#include "cmd/stats_watch.h"
#include "user/base/clock.h"
#include "user/ctl/control_socket.h"
#include "user/ctl/stats_segment.h"

namespace xdplb {
namespace {

Result<int> run(const std::string& shm, bool json) {
  const auto name = ShmName::parse(shm);
  if (!name) return name.error();
  const auto stats = read_stats(*name);
  if (!stats) return stats.error();
  const auto store = ConfigStore::open(*name, ConfigStore::Access::read);
  if (!store || !store->daemon_running()) {
    if (daemon_answers(control_socket_path(name->text()))) {
      warn_of_daemon_elsewhere(*name, store ? &*store : nullptr);
    } else {
      fmt::print(stderr, "No daemon runs on [{}]: these are the last counters of pid {}\n", name->text(), stats->pid);
    }
  }
  fmt::print("{}\n", json ? stats_to_json(*stats) : stats_to_text(*stats));
  return kExitDone;
}

Result<int> watch(const std::string& shm, const std::string& period) {
  const auto name = ShmName::parse(shm);
  if (!name) return name.error();
  constexpr double kSecondsMin = 0.1, kSecondsMax = 3600;
  double seconds = 1;
  const char* end = period.data() + period.size();
  const auto [rest, error] = std::from_chars(period.data(), end, seconds);
  const bool is_number = period.empty() || (error == std::errc{} && rest == end);
  if (!is_number || !(seconds >= kSecondsMin && seconds <= kSecondsMax)) {
    return wrong_usage(fmt::format("Invalid --watch [{}]: {} to {} seconds", period, kSecondsMin, kSecondsMax));
  }
  if (auto r = watch_stats(*name, static_cast<uint64_t>(seconds * static_cast<double>(kNsPerSec))); !r)
    return r.error();
  return kExitDone;
}

}  // namespace

Action setup_stats(CLI::App& app) {
  struct Options {
    std::string shm;
    bool json = false;
    std::string watch;
  };
  auto options = std::make_shared<Options>();
  add_shm_option(app, options->shm);
  auto* json = app.add_flag("--json", options->json, "as JSON");
  auto* watched = app.add_option("--watch", options->watch, "a live screen of rates, every so many seconds (1)")
                      ->expected(0, 1)
                      ->excludes(json);
  return [options, watched] {
    return watched->count() > 0 ? watch(options->shm, options->watch) : run(options->shm, options->json);
  };
}

}  // namespace xdplb
