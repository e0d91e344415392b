// xdplb stats: the counters that the daemon publishes.
#include <CLI/CLI.hpp>

#include "cmd/common.h"
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
    fmt::print(stderr, "No daemon runs on [{}]: these are the last counters of pid {}\n", name->text(), stats->pid);
  }
  fmt::print("{}\n", json ? stats_to_json(*stats) : stats_to_text(*stats));
  return kExitDone;
}

}  // namespace

Action setup_stats(CLI::App& app) {
  struct Options {
    std::string shm;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  add_shm_option(app, options->shm);
  app.add_flag("--json", options->json, "as JSON");
  return [options] { return run(options->shm, options->json); };
}

}  // namespace xdplb
