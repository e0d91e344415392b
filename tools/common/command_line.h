// What the tools' option parsers share: they say which options there are and what values mean; parse_options() does
// the rest. Nothing is printed here: the program's end comes back as a value.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tools/common/early_exit.h"
#include "tools/common/source_pool.h"
#include "user/base/result.h"

namespace xdplb::tools {

// Nothing where the command line was read and the program goes on.
std::optional<EarlyExit> parse_go_style(CLI::App& app, int argc, const char* const* argv);

// "PROGRAM: TEXT" and where help is found; also for values that parse but make no sense.
EarlyExit usage_error(std::string_view program, std::string_view text);

// Fails unless min <= value <= max; `option` is named as the operator writes it.
Result<void> check_range(std::string_view option, int64_t value, int64_t min, int64_t max);

// The value of -srccidr; empty: none.
Result<void> interpret_srccidr(const std::string& text, std::optional<SourceCidr>& cidr);

// `describe` adds the options to the app, to be stored in Options, or in Raw where the text needs interpretation,
// which is what `interpret` then does.
template <typename Options, typename Raw>
Parsed<Options> parse_options(const char* program, const char* about, int argc, const char* const* argv,
                              void (*describe)(CLI::App&, Options&, Raw&),
                              Result<void> (*interpret)(Options&, const Raw&)) {
  Options options;
  Raw raw;
  CLI::App app(about, program);
  describe(app, options, raw);
  if (auto exit = parse_go_style(app, argc, argv)) return {std::nullopt, *exit};
  if (auto ok = interpret(options, raw); !ok) return {std::nullopt, usage_error(program, ok.error().message)};
  return {std::move(options), {}};
}

}  // namespace xdplb::tools
