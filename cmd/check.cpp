// xdplb check: whether a configuration file can be used, and what is odd about it. Asks neither host nor daemon.
#include <CLI/CLI.hpp>
#include <algorithm>

#include "cmd/command.h"
#include "user/ctl/config_file.h"
#include "user/lb/config_check.h"

namespace xdplb {
namespace {

// Each looks for its line from the file's beginning, and nobody reads more.
constexpr size_t kWarningsMax = 100;

Result<int> run(const std::string& path) {
  const auto text = read_config_text(path);
  if (!text) return text.error();
  const auto config = parse_config_file(path, *text);
  if (!config) return config.error();
  const auto warnings = config_warnings(*config);
  const size_t shown = std::min(warnings.size(), kWarningsMax);
  for (size_t i = 0; i < shown; ++i) {
    const ConfigWarning& warning = warnings[i];
    fmt::print("{}: warning: {}: {}\n", place_in_file(path, *text, warning.path), warning.path, warning.text);
  }
  if (warnings.size() > shown) fmt::print("{}: and {} warnings more\n", path, warnings.size() - shown);
  fmt::print("{}: {} target{}, {} service{}, {}\n", path, config->targets.size(),
             config->targets.size() == 1 ? "" : "s", config->services.size(), config->services.size() == 1 ? "" : "s",
             warnings.empty() ? "no warnings"
                              : fmt::format("{} warning{}", warnings.size(), warnings.size() == 1 ? "" : "s"));
  return warnings.empty() ? kExitDone : kExitWarnings;
}

}  // namespace

Action setup_check(CLI::App& app) {
  auto path = std::make_shared<std::string>();
  app.add_option("FILE", *path, "configuration file (JSON)")->required();
  return [path] { return run(*path); };
}

}  // namespace xdplb
