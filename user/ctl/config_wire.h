// A Config as bytes, the body of a slot in shared memory: an index of seven arrays of fixed-width records, and a pool
// of strings. Pure functions; the border where hostile bytes become a Config.
//
// A record never points: it says how many records of another array belong to it, and the arrays are consumed in order
// and to the end. So no body makes a Config larger than the body itself, and there is nothing to loop on.
//
// There are two layouts. The file says which one its slots have; a command reads and writes the one that it finds, so
// that an upgraded command steers the daemon that still runs.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "user/base/result.h"
#include "user/lb/config.h"

namespace xdplb {

inline constexpr uint32_t kConfigLayoutVersion = 2;
inline constexpr uint32_t kConfigLayoutOldest = 1;

// Whether the layout has room for all of it. The error names what it has not, and the way out. The origin is no
// reason: layout 1 forgets it, and commands write values there instead of marks.
Result<void> check_fits_layout(const Config& config, uint32_t layout);

// What the layout has no room for is left out.
std::vector<uint8_t> encode_config(const Config& config, uint32_t layout = kConfigLayoutVersion);

// Bounds and ranges of values are checked here; whether the whole makes sense is for validate_config.
Result<Config> decode_config(std::span<const uint8_t> bytes, uint32_t layout = kConfigLayoutVersion);

}  // namespace xdplb
