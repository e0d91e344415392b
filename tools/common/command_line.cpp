#include "tools/common/command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <set>
#include <vector>

#include "tools/common/arguments.h"

namespace xdplb::tools {

namespace {

// CLI11 writes options with two dashes, the operators of these tools with one.
std::string with_one_dash(std::string text) {
  for (size_t at = text.find("--"); at != std::string::npos; at = text.find("--", at + 1)) text.erase(at, 1);
  return text;
}

EarlyExit help(const CLI::App& app) {
  return {kExitDone, with_one_dash(app.help())};
}

}  // namespace

std::optional<EarlyExit> parse_go_style(CLI::App& app, int argc, const char* const* argv) {
  if (argc < 2) return help(app);
  std::set<std::string> with_value;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_expected_min() > 0) with_value.insert(option->get_lnames().front());
  }
  std::vector<std::string> arguments = normalise_arguments({argv + 1, argv + argc}, with_value);
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
  try {
    app.parse(arguments);
  } catch (const CLI::CallForHelp&) {
    return help(app);
  } catch (const CLI::ParseError& error) {
    return usage_error(app.get_name(), with_one_dash(error.what()));
  }
  return std::nullopt;
}

EarlyExit usage_error(std::string_view program, std::string_view text) {
  return {kExitUsage, fmt::format("{}: {}\nTry '{} -help'.\n", program, text, program)};
}

Result<void> check_range(std::string_view option, int64_t value, int64_t min, int64_t max) {
  if (value >= min && value <= max) return {};
  return fail("{} {}: must be from {} to {}", option, value, min, max);
}

Result<void> interpret_srccidr(const std::string& text, std::optional<SourceCidr>& cidr) {
  if (text.empty()) return {};
  auto parsed = SourceCidr::parse(text);
  if (!parsed) return fail("-srccidr {}", parsed.error().message);
  cidr = *parsed;
  return {};
}

}  // namespace xdplb::tools
