#include "tools/common/arguments.h"

#include <string_view>

namespace xdplb::tools {

std::vector<std::string> normalise_arguments(std::span<const char* const> arguments,
                                             const std::set<std::string>& with_value) {
  std::vector<std::string> out;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (argument.size() < 2 || argument.front() != '-') {
      out.emplace_back(argument);
      continue;
    }
    std::string name(argument.substr(argument.starts_with("--") ? 2 : 1));
    if (name == "h") name = "help";
    out.push_back("--" + name);
    if (!with_value.contains(name) || i + 1 == arguments.size()) continue;
    const std::string_view value = arguments[++i];
    // CLI11 takes `--name=` for a missing value; an empty value of its own is one.
    if (value.empty()) {
      out.emplace_back();
    } else {
      out.back().append("=").append(value);
    }
  }
  return out;
}

}  // namespace xdplb::tools
