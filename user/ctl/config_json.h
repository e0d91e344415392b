// The configuration file: JSON with // comments <-> Config. What it may hold is in configs/xdplb.schema.json.
//
// Strict: an unknown key, a key given twice, a wrong type or value is an error that names the path and the value, as
// in `services[0].vips[0]: "10.0.0.300/32" is not an address or prefix`. Input is bounded in size and depth. Pure: no
// file is opened here.
#pragma once

#include <string>
#include <string_view>

#include "user/base/result.h"
#include "user/lb/config.h"

namespace xdplb {

inline constexpr size_t kMaxConfigFileBytes = 64u << 20;

// The Config is validated; its targets have identities as if it were the first (assign_identities).
Result<Config> config_from_json(std::string_view text);

// A file that config_from_json reads back to the same Config, identities aside. Defaults are left out.
std::string config_to_json(const Config& config);

}  // namespace xdplb
