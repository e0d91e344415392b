// xdplb activate: lets targets take new connections. Where a file is in force, what it says of them stays below.
#include <CLI/CLI.hpp>

#include "cmd/common.h"
#include "user/ctl/netlink.h"

namespace xdplb {
namespace {

struct Options {
  std::string shm;
  std::vector<std::string> targets;
  std::string mac;
  bool force = false;
};

// A packet sent to such a MAC comes back to us, or to everybody.
Result<void> check_mac(const MacAddr& mac, bool force) {
  if (mac.is_zero()) return fail("MAC {} is that of no device", to_string(mac));
  if (force) return {};
  if (mac.is_multicast()) {
    return fail("MAC {} is a multicast address: every machine of the segment would get the packets; --force if meant",
                to_string(mac));
  }
  const auto links = list_links();
  if (!links) return links.error();
  for (const LinkInfo& link : *links) {
    if (link.mac != mac) continue;
    return fail("MAC {} is that of our own interface {}: packets would loop; --force if meant", to_string(mac),
                link.name);
  }
  return {};
}

// Beside a file's targets those of the default service may be the same machines.
Result<void> check_not_taken(const Config& config, uint32_t target, const MacAddr& mac) {
  const std::vector<bool> is_by_hand = targets_set_up_by_hand(config);
  for (uint32_t i = 0; i < config.targets.size(); ++i) {
    const bool is_same_kind = is_by_hand[i] == is_by_hand[target];
    if (i == target || !is_same_kind || config.targets[i].effective_mac() != mac) continue;
    return fail("MAC {} is that of target [{}] already: one machine, one index; --force if meant", to_string(mac),
                config.targets[i].name);
  }
  return {};
}

Result<void> activate(Config& config, const Options& options, const std::optional<MacAddr>& mac,
                      std::vector<std::string>& marked) {
  const auto targets = find_targets(config, options.targets);
  if (!targets) return targets.error();
  for (size_t i = 0; i < targets->size(); ++i) {
    const uint32_t index = (*targets)[i];
    const std::string& text = options.targets[i];
    // After the first target, this also refuses one MAC for several.
    if (mac && !options.force) {
      if (auto ok = check_not_taken(config, index, *mac); !ok) return ok;
    }
    if (set_by_hand(config, index, TargetState::active, mac)) marked.push_back(text);
    const Target& target = config.targets[index];
    if (!target.has_mac() && !target.address) {
      return fail("Target [{}] has no MAC yet: `xdplb activate --mac=MAC {}`", text, text);
    }
  }
  return {};
}

Result<int> run_activate(const Options& options) {
  std::optional<MacAddr> mac;
  if (!options.mac.empty()) {
    const auto parsed = parse_mac(options.mac);
    if (!parsed) return parsed.error();
    if (auto ok = check_mac(*parsed, options.force); !ok) return ok.error();
    mac = *parsed;
  }
  auto store = open_store(options.shm, ConfigStore::Access::write);
  if (!store) return store.error();
  std::vector<std::string> marked;
  Config changed;
  const auto generation = store->update([&](Config& config) -> Result<void> {
    auto done = activate(config, options, mac, marked);
    changed = config;
    return done;
  });
  if (!generation) return generation.error();
  print_how_to_reset(changed, marked);
  return report_in_force(*store, *generation);
}

}  // namespace

Action setup_activate(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_shm_option(app, options->shm);
  app.add_option("--mac", options->mac, "the target's MAC; without it, the one that it had");
  app.add_flag("--force", options->force, "even a MAC that would loop: ours, multicast, or another target's");
  app.add_option("TARGET", options->targets, "which targets: indices, from 0, or names where a file is in force")
      ->required();
  return [options] { return run_activate(*options); };
}

}  // namespace xdplb
