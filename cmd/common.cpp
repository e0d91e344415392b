#include "cmd/common.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>

#include "user/ctl/control_socket.h"
#include "user/ctl/stats_segment.h"

namespace xdplb {

int wrong_usage(const std::string& message) {
  fmt::print(stderr, "{}\n", message);
  return kExitUsage;
}

void add_shm_option(CLI::App& app, std::string& name) {
  name = kDefaultShmName;
  app.add_option("--shm", name, "name of the shared memory, /dev/shm/NAME")->capture_default_str();
}

void warn_of_daemon_elsewhere(const ShmName& name, const ConfigStore* store) {
  const auto holds_it = [store] { return store != nullptr && store->daemon_running(); };
  const std::string socket = control_socket_path(name.text());
  if (holds_it() || !daemon_answers(socket) || holds_it()) return;  // it may have started just now
  fmt::print(
      stderr,
      "warning: the daemon that answers on {} has another {} (this one was made anew, or removed): commands do "
      "not reach it until it is restarted; its flows are kept\n",
      socket, name.path());
}

Result<ConfigStore> open_store(const std::string& shm, ConfigStore::Access access) {
  const auto name = ShmName::parse(shm);
  if (!name) return name.error();
  auto store = ConfigStore::open(*name, access);
  if (store || store.error().sys_errno == ENOENT) warn_of_daemon_elsewhere(*name, store ? &*store : nullptr);
  return store;
}

namespace {

std::optional<uint32_t> as_index(std::string_view text, size_t count) {
  uint32_t index = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, index);
  if (error != std::errc{} || rest != end || index >= count) return std::nullopt;
  return index;
}

}  // namespace

Result<uint32_t> find_target(const Config& config, const std::string& text) {
  const Service* service = default_service(config);
  const size_t count = service == nullptr ? 0 : service->targets.size();
  if (const auto index = as_index(text, count)) return service->targets[*index].target;
  if (config.origin.file.empty()) {
    if (service == nullptr) {
      return fail("The configuration has no default service: its targets come from a configuration file alone");
    }
    if (count == 0) return fail("Invalid index [{}]: there are no targets", text);
    return fail("Invalid index [{}]: 0 to {} are targets", text, count - 1);
  }
  const auto found = std::find_if(config.targets.begin(), config.targets.end(),
                                  [&](const Target& target) { return target.name == text; });
  if (found != config.targets.end()) return static_cast<uint32_t>(found - config.targets.begin());
  const std::string indices =
      count == 0 ? "" : fmt::format(", and 0 to {} are indices of the default service", count - 1);
  return fail("Invalid target [{}]: {} has none of that name{}", text, config.origin.file, indices);
}

Result<std::vector<uint32_t>> find_targets(const Config& config, const std::vector<std::string>& texts) {
  std::vector<uint32_t> targets;
  for (const std::string& text : texts) {
    const auto target = find_target(config, text);
    if (!target) return target.error();
    targets.push_back(*target);
  }
  return targets;
}

bool set_by_hand(Config& config, uint32_t index, TargetState state, const std::optional<MacAddr>& mac) {
  Target& target = config.targets[index];
  if (targets_set_up_by_hand(config)[index]) {
    target.state = state;
    if (mac) target.mac = *mac;
    return false;
  }
  ByHand& mark = target.by_hand ? *target.by_hand : target.by_hand.emplace();
  mark.state = state;
  if (mac) mark.mac = mac;
  return true;
}

void print_how_to_reset(const Config& config, const std::vector<std::string>& marked) {
  if (marked.empty()) return;
  fmt::print("by hand, above {}: `xdplb reset {}` ends that\n", config.origin.file, fmt::join(marked, " "));
}

Result<int> report_in_force(const ConfigStore& store, uint64_t generation) {
  constexpr std::chrono::milliseconds kAdoptionWait{1000};
  if (!store.daemon_running()) {
    fmt::print("Generation {}; no daemon runs\n", generation);
    return kExitDone;
  }
  const AdoptionWait wait = wait_adopted(store.name(), generation, kAdoptionWait);
  switch (wait.outcome) {
    case Adopted::yes:
      fmt::print("Generation {} is in force after {:.1f} ms\n", wait.last.adopted_generation, wait.took.count());
      return kExitDone;
    case Adopted::no_daemon: fmt::print("Generation {}; the daemon has just stopped\n", generation); return kExitDone;
    case Adopted::refused:
      return fail("The daemon refused generation {}, generation {} stays in force: {}", wait.last.refused_generation,
                  wait.last.adopted_generation, wait.last.refused_why);
    case Adopted::timed_out: break;
  }
  return fail("Generation {} is stored, but the daemon (pid {}) has not taken it within {} ms; it uses {}",
              generation, store.daemon_running().value_or(0), kAdoptionWait.count(), wait.last.adopted_generation);
}

Result<Service*> require_default_service(Config& config) {
  Service* service = default_service(config);
  if (service == nullptr) {
    return fail(
        "The configuration has no default service: its targets and VIPs come from a configuration file alone");
  }
  return service;
}

}  // namespace xdplb
