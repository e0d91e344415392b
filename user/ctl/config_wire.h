// A Config as bytes, the body of a slot in shared memory: an index of seven arrays of fixed-width records, and a pool
// of strings. Pure functions; the border where hostile bytes become a Config.
//
// A record never points: it says how many records of another array belong to it, and the arrays are consumed in order
// and to the end. So no body makes a Config larger than the body itself, and there is nothing to loop on.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "user/base/result.h"
#include "user/lb/config.h"

namespace xdplb {

std::vector<uint8_t> encode_config(const Config& config);

// Bounds and ranges of values are checked here; whether the whole makes sense is for validate_config.
Result<Config> decode_config(std::span<const uint8_t> bytes);

}  // namespace xdplb
