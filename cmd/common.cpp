#include "cmd/common.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>

#include "user/ctl/stats_segment.h"

namespace xdplb {

void add_shm_option(CLI::App& app, std::string& name) {
  name = kDefaultShmName;
  app.add_option("--shm", name, "name of the shared memory, /dev/shm/NAME")->capture_default_str();
}

Result<ConfigStore> open_store(const std::string& shm, ConfigStore::Access access) {
  const auto name = ShmName::parse(shm);
  if (!name) return name.error();
  return ConfigStore::open(*name, access);
}

Result<uint32_t> parse_index(std::string_view text, size_t count) {
  uint32_t index = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, index);
  if (error != std::errc{} || rest != end || index >= count) {
    if (count == 0) return fail("Invalid index [{}]: there are no targets", text);
    return fail("Invalid index [{}]: 0 to {} are targets", text, count - 1);
  }
  return index;
}

Result<std::vector<uint32_t>> parse_indices(const std::vector<std::string>& texts, size_t count) {
  std::vector<uint32_t> indices;
  for (const std::string& text : texts) {
    const auto index = parse_index(text, count);
    if (!index) return index.error();
    indices.push_back(*index);
  }
  return indices;
}

Result<int> report_in_force(const ConfigStore& store, uint64_t generation) {
  constexpr std::chrono::milliseconds kAdoptionWait{1000};
  if (!store.daemon_running()) {
    fmt::print("Generation {}; no daemon runs\n", generation);
    return kExitDone;
  }
  const AdoptionWait wait = wait_adopted(store.name(), generation, kAdoptionWait);
  switch (wait.outcome) {
    case Adopted::yes: fmt::print("Generation {} is in force\n", wait.last.adopted_generation); return kExitDone;
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
