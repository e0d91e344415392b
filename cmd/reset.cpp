// xdplb reset: takes away what `activate` and `deactivate` said above a configuration file.
#include <CLI/CLI.hpp>
#include <algorithm>

#include "cmd/common.h"
#include "user/lb/config_diff.h"

namespace xdplb {
namespace {

struct Options {
  std::string shm;
  std::vector<std::string> targets;
  bool all = false;
};

// The lines say what becomes of each.
Result<void> reset(Config& config, const Options& options, std::vector<std::string>& lines) {
  std::vector<uint32_t> chosen;
  for (const std::string& text : options.targets) {
    const auto target = find_target(config, text);
    if (!target) return target.error();
    chosen.push_back(*target);
  }
  for (uint32_t i = 0; i < config.targets.size(); ++i) {
    if (options.all && config.targets[i].by_hand) chosen.push_back(i);
  }
  for (const uint32_t i : chosen) {
    Target& target = config.targets[i];
    if (!target.by_hand) {
      lines.push_back(fmt::format("target {} is not marked by hand", target.name));
      continue;
    }
    const std::string was = target_state_text(target);
    target.by_hand.reset();
    lines.push_back(fmt::format("target {} is {} (was {})", target.name, target_state_text(target), was));
  }
  if (lines.empty()) lines.emplace_back("no target is marked by hand");
  return {};
}

Result<int> run(const Options& options) {
  if (options.all != options.targets.empty()) {
    return wrong_usage("Which targets: their names or indices, or --all");
  }
  auto store = open_store(options.shm, ConfigStore::Access::write);
  if (!store) return store.error();
  std::vector<std::string> lines;
  const auto generation = store->update([&](Config& config) { return reset(config, options, lines); });
  if (!generation) return generation.error();
  for (const std::string& line : lines) fmt::print("{}\n", line);
  return report_in_force(*store, *generation);
}

}  // namespace

Action setup_reset(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_shm_option(app, options->shm);
  app.add_option("TARGET", options->targets, "names, or indices of the default service");
  app.add_flag("--all", options->all, "every target that is marked");
  return [options] { return run(*options); };
}

}  // namespace xdplb
