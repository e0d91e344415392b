#include "user/base/duration.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "user/base/clock.h"

namespace xdplb {

std::optional<uint64_t> parse_duration_ns(std::string_view text) {
  uint64_t count = 0;
  const char* end = text.data() + text.size();
  const auto [unit, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc{}) return std::nullopt;
  const std::pair<std::string_view, uint64_t> units[] = {
      {"ms", kNsPerMs}, {"s", kNsPerSec}, {"m", 60 * kNsPerSec}, {"h", 3600 * kNsPerSec}};
  for (const auto& [name, ns] : units) {
    if (std::string_view(unit, static_cast<size_t>(end - unit)) != name) continue;
    if (count <= kMaxDuration_h * 3600 * kNsPerSec / ns) return count * ns;
  }
  return std::nullopt;
}

std::string duration_text(uint64_t ns) {
  const double s = static_cast<double>(ns) / static_cast<double>(kNsPerSec);
  if (s < 9.95) return fmt::format("{:.1f} s", s);
  if (s < 99.5) return fmt::format("{:.0f} s", s);
  if (s < 99.5 * 60) return fmt::format("{:.0f} m", s / 60);
  return fmt::format("{:.1f} h", s / 3600);
}

}  // namespace xdplb
