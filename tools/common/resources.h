// What the process needs of its host: descriptors and a name.
#pragma once

#include <cstdint>
#include <string>

#include "user/base/result.h"

namespace xdplb::tools {

// Raises RLIMIT_NOFILE as far as it goes (a privileged process raises the hard limit too, up to `wanted`). Returns
// the limit in force.
uint64_t raise_descriptor_limit(uint64_t wanted);

// An error that names the limit unless `needed` descriptors may be open; `why` says what needs them.
Result<void> check_descriptor_limit(uint64_t needed, uint64_t limit, std::string_view why);

Result<std::string> host_name();

}  // namespace xdplb::tools
