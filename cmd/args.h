// The command line as CLI11 is to see it: long options with one dash get two, so that `-mac=` and `--mac=` are the
// same (contract of the seeds' scripts). There are no short options besides -h.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace xdplb {

// Without the program's name. What follows a bare "--" is left alone, as are numbers ("-1") and "-" itself.
std::vector<std::string> normalise_args(int argc, const char* const* argv);

// The first option with nothing behind its "=", as `--mac=$UNSET` makes it: CLI11 would take the next argument for
// its value.
std::optional<std::string> option_without_value(const std::vector<std::string>& args);

}  // namespace xdplb
