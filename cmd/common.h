// What several commands do alike.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cmd/command.h"
#include "user/base/result.h"
#include "user/ctl/shared_memory.h"
#include "user/lb/config.h"

namespace xdplb {

// Says so where a daemon of this name runs that does not hold `store` (nullptr: there is none): its own was removed
// or replaced, or lies in a /dev/shm of its own. Otherwise a command would say that none runs.
void warn_of_daemon_elsewhere(const ShmName& name, const ConfigStore* store);

Result<ConfigStore> open_store(const std::string& shm, ConfigStore::Access access);

// The target, by its place in config.targets, that a command means: an index of the default service or, where a file
// is in force, a name. A number is an index where there is a default service with that many targets.
Result<uint32_t> find_target(const Config& config, const std::string& text);
Result<std::vector<uint32_t>> find_targets(const Config& config, const std::vector<std::string>& texts);

// Says what state a target has, and, where it is given, which MAC: in its own values where commands own the target,
// else in a mark above the file's. Whether it was a mark.
bool set_by_hand(Config& config, uint32_t target, TargetState state, const std::optional<MacAddr>& mac);

// The line that follows a mark: how it ends.
void print_how_to_reset(const Config& config, const std::vector<std::string>& marked);

// After a change: waits (about a second) for the daemon, if one runs, to use the generation, and says so. An error
// where the daemon refused it or does not answer.
Result<int> report_in_force(const ConfigStore& store, uint64_t generation);

// The default service and its targets, or an error that names the way out.
Result<Service*> require_default_service(Config& config);

}  // namespace xdplb
