// Go-style command lines made readable to CLI11: `-nconn 100`, `-nconn=100`, `--nconn 100` all become
// `--nconn=100`. A value is taken as it stands, even where it begins with a dash, as Go's flag package does.
#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

namespace xdplb::tools {

// `arguments` is argv without the program's name; `with_value` are the options that take one, without dashes.
std::vector<std::string> normalise_arguments(std::span<const char* const> arguments,
                                             const std::set<std::string>& with_value);

}  // namespace xdplb::tools
