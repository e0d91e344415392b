// The configuration file on its way into the shared memory: `xdplb lb --config FILE`, SIGHUP, `replay`.
#pragma once

#include <string>

#include "user/base/result.h"
#include "user/ctl/shared_memory.h"

namespace xdplb {

// Reads and validates. Errors begin with the file's name and name path and value in it.
Result<Config> read_config_file(const std::string& path);

// Whether this host may serve it: no VIP that would cut it off. The error names the service.
Result<void> check_config_on_host(const Config& config);

// The store of that name; where there is none it is made, with this configuration.
Result<ConfigStore> open_or_create_store(const ShmName& name, const Config& config);

// Makes the file's configuration that in force, whole: nothing of the former one stays but the identities of targets
// and services whose names stay, so that their flows do. Returns the generation, the old one where nothing changed. A
// file that cannot be used changes nothing.
Result<uint64_t> publish_config(ConfigStore& store, const Config& config);
Result<uint64_t> publish_config_file(ConfigStore& store, const std::string& path);

}  // namespace xdplb
