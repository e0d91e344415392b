// How the tools end: exit codes, and an end that comes before anything has begun.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <optional>
#include <string>

namespace xdplb::tools {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

// Why the program ends before it has begun: help was asked for (kExitDone), or the command line is wrong (kExitUsage,
// as Go's flag package).
struct EarlyExit {
  int exit_code = kExitDone;
  std::string text;

  // To standard output if all is well, else to standard error; returns the exit code.
  [[nodiscard]] int print() const {
    fmt::print(exit_code == kExitDone ? stdout : stderr, "{}", text);
    return exit_code;
  }
};

// What reading a command line yields: either options, or why the program ends now.
template <typename Options>
struct Parsed {
  std::optional<Options> options;
  EarlyExit exit;
};

}  // namespace xdplb::tools
