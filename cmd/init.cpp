// xdplb init: makes the shared memory, or brings the default service to the table size and number of targets asked
// for. With the size and number that it has, everything stays. With others its targets begin anew; VIPs and other
// services stay in any case.
#include <CLI/CLI.hpp>
#include <cerrno>

#include "cmd/common.h"
#include "cmd/number.h"
#include "user/lb/maglev.h"

namespace xdplb {
namespace {

struct Options {
  std::string shm;
  uint32_t table_size = kDefaultTableSize;
  uint32_t targets = kDefaultTargets;
  bool force = false;
};

// The default service is made anew, all else of `config` stays.
void replace_default_service(Config& config, Config fresh) {
  Service service = std::move(fresh.services.front());
  std::vector<bool> dropped(config.targets.size(), false);
  if (Service* old = default_service(config)) {
    service.vips = std::move(old->vips);
    service.pass_vips = std::move(old->pass_vips);
    service.fallback_pass = old->fallback_pass;
    for (const TargetUse& use : old->targets) dropped[use.target] = true;
    config.services.erase(config.services.begin() + (old - config.services.data()));
  }
  for (const Service& other : config.services) {
    for (const TargetUse& use : other.targets) dropped[use.target] = false;
  }
  // Targets that only the old default service used go; the indices of the rest move up.
  std::vector<uint32_t> new_index(config.targets.size());
  std::vector<Target> kept;
  for (size_t i = 0; i < config.targets.size(); ++i) {
    new_index[i] = static_cast<uint32_t>(kept.size());
    if (!dropped[i]) kept.push_back(std::move(config.targets[i]));
  }
  for (Service& other : config.services) {
    for (TargetUse& use : other.targets) use.target = new_index[use.target];
  }
  for (TargetUse& use : service.targets) use.target += static_cast<uint32_t>(kept.size());
  for (Target& target : fresh.targets) kept.push_back(std::move(target));
  config.targets = std::move(kept);
  config.services.push_back(std::move(service));
  config.origin.names_default = false;  // a file's is gone; its other services stay
}

Result<int> init_existing(ConfigStore& store, const Options& options) {
  if (const auto pid = store.daemon_running(); pid && !options.force) {
    return fail("A daemon (pid {}) runs on {}: stop it first, or use --force", *pid, store.name().path());
  }
  bool kept = false;
  const auto generation = store.update([&](Config& config) -> Result<void> {
    const Service* service = default_service(config);
    kept =
        service != nullptr && service->table_size == options.table_size && service->targets.size() == options.targets;
    if (!kept) replace_default_service(config, make_default_config(options.table_size, options.targets));
    return {};
  });
  if (!generation) return generation.error();
  fmt::print("{}: M={}, N={}, {}\n", store.name().path(), options.table_size, options.targets,
             kept ? "as before: the targets stay" : "changed: the targets begin anew");
  return report_in_force(store, *generation);
}

Result<int> run(Options options) {
  const auto name = ShmName::parse(options.shm);
  if (!name) return name.error();
  if (!is_prime(options.table_size)) {
    const uint32_t prime = prime_at_most(options.table_size);
    fmt::print("M={} is not a prime, using {}\n", options.table_size, prime);
    options.table_size = prime;
  }

  auto store = ConfigStore::open(*name, ConfigStore::Access::write);
  if (store) {
    warn_of_daemon_elsewhere(*name, &*store);
    return init_existing(*store, options);
  }
  if (store.error().sys_errno != ENOENT) {
    if (!options.force) return store.error();
    // Nothing that we could read: --force means to begin anew.
    if (auto removed = ConfigStore::remove(*name); !removed) return removed.error();
  }
  auto created = ConfigStore::create(*name, make_default_config(options.table_size, options.targets));
  if (!created && created.error().sys_errno == EEXIST) {
    // Somebody else was quicker by a moment.
    store = ConfigStore::open(*name, ConfigStore::Access::write);
    return store ? init_existing(*store, options) : Result<int>(store.error());
  }
  if (!created) return created.error();
  fmt::print("{}: M={}, N={}\n", name->path(), options.table_size, options.targets);
  warn_of_daemon_elsewhere(*name, &*created);
  return kExitDone;
}

}  // namespace

Action setup_init(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_shm_option(app, options->shm);
  add_number(app, "--m", options->table_size, {kMinTableSize, kMaxTableSize},
             "size of the lookup table, rounded down to a prime");
  add_number(app, "--n", options->targets, {1, kMaxServiceTargets}, "number of targets");
  app.add_flag("--force", options->force, "although a daemon runs, or over a file that cannot be read");
  return [options] { return run(*options); };
}

}  // namespace xdplb
