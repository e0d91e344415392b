// xdplb activate: lets targets of the default service, by index, take new connections.
#include <CLI/CLI.hpp>
#include <algorithm>

#include "cmd/common.h"
#include "user/ctl/netlink.h"

namespace xdplb {
namespace {

struct Options {
  std::string shm;
  std::vector<std::string> indices;
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

Result<void> check_not_taken(const Config& config, const Service& service, size_t index, const MacAddr& mac) {
  for (size_t i = 0; i < service.targets.size(); ++i) {
    if (i == index || config.targets[service.targets[i].target].mac != mac) continue;
    return fail("MAC {} is that of target [{}] already: one machine, one index; --force if meant", to_string(mac), i);
  }
  return {};
}

Result<void> activate(Config& config, const Options& options, const std::optional<MacAddr>& mac) {
  const auto service = require_default_service(config);
  if (!service) return service.error();
  const auto indices = parse_indices(options.indices, (*service)->targets.size());
  if (!indices) return indices.error();
  for (const uint32_t index : *indices) {
    Target& target = config.targets[(*service)->targets[index].target];
    if (mac) {
      // After the first index, this also refuses one MAC for several.
      if (!options.force) {
        if (auto ok = check_not_taken(config, **service, index, *mac); !ok) return ok;
      }
      target.mac = *mac;
    }
    if (!target.has_mac() && !target.address) {
      return fail("Target [{}] has no MAC yet: `xdplb activate --mac=MAC {}`", index, index);
    }
    target.state = TargetState::active;
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
  const auto generation = store->update([&](Config& config) { return activate(config, options, mac); });
  if (!generation) return generation.error();
  return report_in_force(*store, *generation);
}

}  // namespace

Action setup_activate(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_shm_option(app, options->shm);
  app.add_option("--mac", options->mac, "the target's MAC; without it, the one that it had");
  app.add_flag("--force", options->force, "even a MAC that would loop: ours, multicast, or another target's");
  app.add_option("INDEX", options->indices, "which targets, from 0")->required();
  return [options] { return run_activate(*options); };
}

}  // namespace xdplb
