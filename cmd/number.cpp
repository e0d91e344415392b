#include "cmd/number.h"

#include <fmt/format.h>

#include <charconv>

namespace xdplb {
namespace {

std::string what_would_do(const Numbers& numbers) {
  if (!numbers.words.empty()) return std::string(numbers.words);
  // A bound that is only that of the type tells nobody anything.
  if (numbers.most >= std::numeric_limits<int32_t>::max()) {
    return fmt::format("a whole number from {} on", numbers.least);
  }
  return fmt::format("{} to {}", numbers.least, numbers.most);
}

}  // namespace

uint64_t parse_number(const std::string& option, const std::string& text, const Numbers& numbers) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  const bool is_number = error == std::errc{} && rest == end;
  if (!is_number || value < numbers.least || value > numbers.most ||
      (numbers.fits != nullptr && !numbers.fits(value))) {
    throw CLI::ValidationError(fmt::format("Invalid {} [{}]: {}", option, text, what_would_do(numbers)));
  }
  return value;
}

}  // namespace xdplb
