#include "cmd/args.h"

#include <string_view>

namespace xdplb {
namespace {

bool is_long_option_with_one_dash(std::string_view arg) {
  if (arg.size() < 2 || arg[0] != '-' || arg == "-h") return false;
  const char first = arg[1];
  return (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z');
}

}  // namespace

std::vector<std::string> normalise_args(int argc, const char* const* argv) {
  std::vector<std::string> args;
  bool options_ended = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg == "--") options_ended = true;
    const bool add_dash = !options_ended && is_long_option_with_one_dash(arg);
    args.push_back(add_dash ? "-" + std::string(arg) : std::string(arg));
  }
  return args;
}

std::optional<std::string> option_without_value(const std::vector<std::string>& args) {
  for (const std::string& arg : args) {
    if (arg == "--") break;
    if (arg.starts_with("--") && arg.ends_with('=')) return arg;
  }
  return std::nullopt;
}

}  // namespace xdplb
