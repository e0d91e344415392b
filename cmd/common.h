// What several commands do alike.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cmd/command.h"
#include "user/base/result.h"
#include "user/ctl/shared_memory.h"
#include "user/lb/config.h"

namespace xdplb {

Result<ConfigStore> open_store(const std::string& shm, ConfigStore::Access access);

// "Invalid index [99]" where the text is not one of 0..count-1.
Result<uint32_t> parse_index(std::string_view text, size_t count);

Result<std::vector<uint32_t>> parse_indices(const std::vector<std::string>& texts, size_t count);

// After a change: waits (about a second) for the daemon, if one runs, to use the generation, and says so. An error
// where the daemon refused it or does not answer.
Result<int> report_in_force(const ConfigStore& store, uint64_t generation);

// The default service and its targets, or an error that names the way out.
Result<Service*> require_default_service(Config& config);

}  // namespace xdplb
