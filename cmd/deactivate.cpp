// xdplb deactivate: takes targets out, at once or, with --drain, when their connections have
// ended.
#include <CLI/CLI.hpp>
#include <thread>

#include "cmd/common.h"
#include "cmd/live_flows.h"
#include "user/base/clock.h"
#include "user/base/duration.h"

namespace xdplb {
namespace {

constexpr std::chrono::milliseconds kLookEvery{100};
// The daemon's last count may be as old as this.
constexpr std::chrono::milliseconds kCountAge{150};

struct Options {
  std::string shm;
  std::vector<std::string> targets;
  bool drain = false;
  std::string wait;
};

struct Chosen {
  std::string text;  // as the operator called it
  std::string name;
};

// What was done, for the messages.
struct Done {
  Config config;
  std::vector<Chosen> chosen;
  std::vector<std::string> marked;
};

Result<void> deactivate(Config& config, const Options& options, Done& done) {
  const auto targets = find_targets(config, options.targets);
  if (!targets) return targets.error();
  for (size_t i = 0; i < targets->size(); ++i) {
    const uint32_t index = (*targets)[i];
    const Target& target = config.targets[index];
    // A target that is down has no connections to wait for, and none of them is to come back.
    const bool is_down = target.effective_state() == TargetState::down;
    const TargetState state = options.drain && !is_down ? TargetState::draining : TargetState::down;
    if (set_by_hand(config, index, state, std::nullopt)) done.marked.push_back(options.targets[i]);
    done.chosen.push_back({options.targets[i], target.name});
  }
  done.config = config;
  return {};
}

uint64_t flows_of(const std::map<std::string, uint64_t>& flows, const Chosen& target) {
  const auto found = flows.find(target.name);
  return found == flows.end() ? 0 : found->second;
}

std::string connections(uint64_t n) {
  return fmt::format("{} live connection{}", n, n == 1 ? "" : "s");
}

void say_what_happens(const Options& options, const Chosen& target, uint64_t generation, uint64_t flows) {
  if (options.drain) {
    fmt::print("target {} draining, generation {}: it keeps {}\n", target.text, generation, connections(flows));
  } else if (flows != 0) {
    fmt::print(
        "target {} down, generation {}: {} will break; to let them finish: "
        "xdplb deactivate --drain --wait=10m {}\n",
        target.text, generation, connections(flows), target.text);
  } else {
    fmt::print("target {} down, generation {}\n", target.text, generation);
  }
}

Result<int> wait_until_empty(const ConfigStore& store, const std::vector<Chosen>& chosen, const Options& options,
                             uint64_t wait_ns) {
  const uint64_t deadline_ns = monotonic_ns() + wait_ns;
  std::this_thread::sleep_for(kCountAge);  // connections that came just before the change are counted by then
  for (;;) {
    if (!store.daemon_running())
      return fail("No daemon runs that would count connections: cannot wait for their end");
    const auto flows = live_flows(store);
    uint64_t left = 0;
    for (const Chosen& target : chosen) left += flows_of(flows, target);
    if (left == 0) {
      for (const Chosen& target : chosen) fmt::print("target {} has no connections left\n", target.text);
      return kExitDone;
    }
    if (monotonic_ns() >= deadline_ns) {
      return fail("{} left after {}: draining goes on", connections(left), options.wait);
    }
    std::this_thread::sleep_for(kLookEvery);
  }
}

Result<int> run(const Options& options) {
  uint64_t wait_ns = 0;
  if (!options.wait.empty()) {
    if (!options.drain) return wrong_usage("--wait is for --drain: without it connections break at once");
    const auto parsed = parse_duration_ns(options.wait);
    if (!parsed) {
      return wrong_usage(
          fmt::format("Invalid --wait [{}]: a number and ms, s, m or h, at most {}h", options.wait, kMaxDuration_h));
    }
    wait_ns = *parsed;
  }
  auto store = open_store(options.shm, ConfigStore::Access::write);
  if (!store) return store.error();
  const auto flows = live_flows(*store);
  Done done;
  const auto generation = store->update([&](Config& config) { return deactivate(config, options, done); });
  if (!generation) return generation.error();
  for (const Chosen& target : done.chosen) say_what_happens(options, target, *generation, flows_of(flows, target));
  print_how_to_reset(done.config, done.marked);
  auto in_force = report_in_force(*store, *generation);
  if (!in_force || options.wait.empty()) return in_force;
  std::fflush(stdout);
  return wait_until_empty(*store, done.chosen, options, wait_ns);
}

}  // namespace

Action setup_deactivate(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_shm_option(app, options->shm);
  app.add_flag("--drain", options->drain, "keep the connections that the targets have, give them no new ones");
  app.add_option("--wait", options->wait, "with --drain: return when no connection is left, or after so long (10m)");
  app.add_option("TARGET", options->targets, "which targets: indices, from 0, or names where a file is in force")
      ->required();
  return [options] { return run(*options); };
}

}  // namespace xdplb
