// Durations as operators write them on the command line: "10s", "1.5s", "1m30s", "250ms", "0".
//
// The grammar is that of Go's time.ParseDuration, because the options come from Go programs: a sign, then
// numbers each with its unit (ns, us, µs, ms, s, m, h); only zero may stand without one.
#pragma once

#include <cstdint>
#include <string_view>

#include "user/base/result.h"

namespace xdplb::tools {

// Nanoseconds; an error names the text and what is wrong with it.
Result<int64_t> parse_duration(std::string_view text);

}  // namespace xdplb::tools
