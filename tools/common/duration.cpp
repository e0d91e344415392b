#include "tools/common/duration.h"

#include <array>
#include <cmath>
#include <limits>

namespace xdplb::tools {
namespace {

struct Unit {
  std::string_view name;
  double ns;
};

constexpr std::array kUnits{
    Unit{"ns", 1.0}, Unit{"us", 1e3}, Unit{"\u00b5s", 1e3}, Unit{"\u03bcs", 1e3},
    Unit{"ms", 1e6}, Unit{"s", 1e9},  Unit{"m", 60e9},      Unit{"h", 3600e9},
};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// The digits at the front of `rest`, taken off it.
std::string_view take_digits(std::string_view& rest) {
  size_t n = 0;
  while (n < rest.size() && is_digit(rest[n])) ++n;
  const std::string_view digits = rest.substr(0, n);
  rest.remove_prefix(n);
  return digits;
}

// "12.5" as a number; fails where there is no digit on either side of the point.
bool take_number(std::string_view& rest, double& value) {
  const std::string_view whole = take_digits(rest);
  std::string_view fraction;
  if (!rest.empty() && rest.front() == '.') {
    rest.remove_prefix(1);
    fraction = take_digits(rest);
  }
  if (whole.empty() && fraction.empty()) return false;
  value = 0;
  for (const char c : whole) value = value * 10 + (c - '0');
  double scale = 0.1;
  for (const char c : fraction) {
    value += (c - '0') * scale;
    scale /= 10;
  }
  return true;
}

std::string_view take_unit(std::string_view& rest) {
  size_t n = 0;
  while (n < rest.size() && rest[n] != '.' && !is_digit(rest[n])) ++n;
  const std::string_view unit = rest.substr(0, n);
  rest.remove_prefix(n);
  return unit;
}

const Unit* find_unit(std::string_view name) {
  for (const Unit& unit : kUnits) {
    if (unit.name == name) return &unit;
  }
  return nullptr;
}

}  // namespace

Result<int64_t> parse_duration(std::string_view text) {
  std::string_view rest = text;
  bool negative = false;
  if (!rest.empty() && (rest.front() == '-' || rest.front() == '+')) {
    negative = rest.front() == '-';
    rest.remove_prefix(1);
  }
  if (rest == "0") return int64_t{0};
  if (rest.empty()) return fail("\"{}\" is not a duration such as 10s or 1m30s", text);

  double total_ns = 0;
  while (!rest.empty()) {
    double number = 0;
    if (!take_number(rest, number)) return fail("\"{}\" is not a duration such as 10s or 1m30s", text);
    const std::string_view name = take_unit(rest);
    if (name.empty()) return fail("\"{}\" lacks a unit: ns, us, ms, s, m or h", text);
    const Unit* unit = find_unit(name);
    if (unit == nullptr) return fail("\"{}\" has an unknown unit \"{}\": ns, us, ms, s, m or h", text, name);
    total_ns += number * unit->ns;
  }
  // 2^63 as a double is exact; every double below it converts without overflow.
  if (total_ns >= static_cast<double>(std::numeric_limits<int64_t>::max())) {
    return fail("\"{}\" is longer than 292 years", text);
  }
  const auto ns = static_cast<int64_t>(std::llround(total_ns));
  return negative ? -ns : ns;
}

}  // namespace xdplb::tools
