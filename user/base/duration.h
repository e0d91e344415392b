// Durations as people write them: a number and ms, s, m or h. "500ms", "90s", "10m", "2h".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace xdplb {

inline constexpr uint64_t kMaxDuration_h = 168;  // a week

// Nothing where it is no duration, or more than kMaxDuration_h.
std::optional<uint64_t> parse_duration_ns(std::string_view text);

// Rounded to what one reads at a glance: "0.3 s", "12 s", "4 m", "2.5 h".
std::string duration_text(uint64_t ns);

}  // namespace xdplb
