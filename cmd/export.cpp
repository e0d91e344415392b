// xdplb export: what is in force, as a configuration file. Applied again it changes nothing.
#include <CLI/CLI.hpp>

#include "cmd/common.h"
#include "user/ctl/config_json.h"
#include "user/lb/config_diff.h"

namespace xdplb {
namespace {

// The part that a file owns: beside a file the default service of `init` is not in it, and no file brings it back or
// takes it away.
Config part_of_file(Config config) {
  const Service* by_hand = default_service(config);
  if (config.origin.file.empty() || config.origin.names_default || by_hand == nullptr) return config;
  std::vector<uint32_t> new_index(config.targets.size());
  std::vector<Target> kept;
  const std::vector<bool> is_by_hand = targets_set_up_by_hand(config);
  for (size_t i = 0; i < config.targets.size(); ++i) {
    new_index[i] = static_cast<uint32_t>(kept.size());
    if (!is_by_hand[i]) kept.push_back(config.targets[i]);
  }
  config.services.erase(config.services.begin() + (by_hand - config.services.data()));
  for (Service& service : config.services) {
    for (TargetUse& use : service.targets) use.target = new_index[use.target];
  }
  config.targets = std::move(kept);
  return config;
}

// On standard error: the file stays a file.
void say_what_is_not_in_it(const Config& config, const Config& file) {
  for (const Target& target : config.targets) {
    if (!target.by_hand) continue;
    fmt::print(stderr, "note: target [{}] is {}; the file has what counts after `xdplb reset {}`\n", target.name,
               target_state_text(target), target.name);
  }
  if (file.services.size() == config.services.size()) return;
  fmt::print(stderr, "note: the default service is that of `xdplb init`, not of a file: not exported\n");
}

Result<int> run(const std::string& shm) {
  const auto store = open_store(shm, ConfigStore::Access::read);
  if (!store) return store.error();
  const auto stored = store->read();
  if (!stored) return stored.error();
  const Config file = part_of_file(stored->config);
  fmt::print("{}", config_to_json(file));
  say_what_is_not_in_it(stored->config, file);
  return kExitDone;
}

}  // namespace

Action setup_export(CLI::App& app) {
  auto shm = std::make_shared<std::string>();
  add_shm_option(app, *shm);
  return [shm] { return run(*shm); };
}

}  // namespace xdplb
