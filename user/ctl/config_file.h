// The configuration file on its way into the shared memory: `xdplb lb --config FILE`, SIGHUP, `replay`.
#pragma once

#include <string>
#include <string_view>

#include "user/base/result.h"
#include "user/ctl/shared_memory.h"

namespace xdplb {

// The file's text. Error where it cannot be read.
Result<std::string> read_config_text(const std::string& path);

// Reads and validates a text that came from `path`, which is noted in the origin. Errors are
// `FILE:LINE: services[0].vips[0]: ...`, with what was expected.
Result<Config> parse_config_file(const std::string& path, std::string_view text);

// "FILE:LINE" of what a path in the text names.
std::string place_in_file(const std::string& path, std::string_view text, std::string_view where);

// Both steps.
Result<Config> read_config_file(const std::string& path);

// Whether this host may serve it: no VIP that would cut it off. The error names the service.
Result<void> check_config_on_host(const Config& config);

// The store of that name; where there is none it is made, with this configuration.
Result<ConfigStore> open_or_create_store(const ShmName& name, const Config& config);

// What is in force once `file` was applied to `in_force`. The file replaces what a former file said. What stays is:
// identities of targets and services whose names stay, so that their flows do; marks by hand; and, unless the file
// names it or the former file did, the default service of `init` with its targets and VIPs. A target of that service
// that the file defines too is the file's. Where nothing else changes, the former file stays noted as the origin.
// Error: more targets or services than there are ids.
Result<Config> merge_file(const Config& in_force, Config file);

// Puts merge_file() in force. Returns the generation, the old one where nothing changed. A file that cannot be used
// changes nothing.
Result<uint64_t> publish_config(ConfigStore& store, const Config& config);
Result<uint64_t> publish_config_file(ConfigStore& store, const std::string& path);

}  // namespace xdplb
