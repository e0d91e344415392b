// What both tools' option parsers share: they describe their options to a CLI::App and hand it to parse_go_style().
// Nothing is printed here: the program's end comes back as a value.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tools/common/early_exit.h"
#include "user/base/result.h"

namespace xdplb::tools {

// Nothing where the command line was read and the program goes on.
std::optional<EarlyExit> parse_go_style(CLI::App& app, int argc, const char* const* argv);

// "PROGRAM: TEXT" and where help is found; also for values that parse but make no sense.
EarlyExit usage_error(std::string_view program, std::string_view text);

// Fails unless min <= value <= max; `option` is named as the operator writes it.
Result<void> check_range(std::string_view option, int64_t value, int64_t min, int64_t max);

}  // namespace xdplb::tools
