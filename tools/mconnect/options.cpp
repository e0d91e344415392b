#include "tools/mconnect/options.h"

#include "tools/common/command_line.h"
#include "tools/common/duration.h"
#include "user/base/clock.h"

namespace xdplb::mconnect {
namespace {

constexpr const char* kAbout =
    "Makes many connections to an address, supposedly a virtual one that is balanced to many servers, and prints how "
    "many reached each. Keep maxconcurrent below the servers' listen backlog (net.core.somaxconn).";

// Option values as they stand on the command line.
struct Raw {
  std::string seed = "0";
  std::string timeout = "0";
  std::string output = "txt";
  std::string srccidr;
};

void describe(CLI::App& app, Options& options, Raw& raw) {
  app.set_help_flag("--help", "print this help and quit");
  app.add_option("--address", options.address, "server address")->capture_default_str();
  app.add_flag("--server", options.server, "act as server");
  app.add_option("--nconn", options.nconn, "number of connections")->capture_default_str();
  app.add_option("--srccidr", raw.srccidr, "a random source address of this prefix for each connection");
  app.add_flag("--keep", options.keep, "keep connections open");
  app.add_flag("--udp", options.udp, "use UDP (server: UDP too)");
  app.add_option("--seed", raw.seed, "of the random source addresses; 0 = differs from run to run")
      ->capture_default_str();
  app.add_option("--maxconcurrent", options.maxconcurrent, "connects under way at the same time")
      ->capture_default_str();
  app.add_option("--output", raw.output, "txt|json")->capture_default_str();
  app.add_option("--timeout", raw.timeout, "10s, 1m30s; 0 = 2s + 1ms for each connection, 1h with -keep")
      ->capture_default_str();
  app.add_flag("--version", options.version, "print the version and quit");
}

Result<void> interpret(Options& options, const Raw& raw) {
  if (auto ok = tools::check_range("-nconn", options.nconn, 0, 10'000'000); !ok) return ok;
  if (auto ok = tools::check_range("-maxconcurrent", options.maxconcurrent, 1, 1'000'000); !ok) return ok;
  if (raw.output != "txt" && raw.output != "json") return fail("-output \"{}\": must be txt or json", raw.output);
  options.output = raw.output == "json" ? Output::json : Output::text;

  // Any number is a seed, negative ones too.
  int64_t seed = 0;
  if (!CLI::detail::lexical_cast(raw.seed, seed)) return fail("-seed \"{}\": not a number", raw.seed);
  options.seed = static_cast<uint64_t>(seed);

  auto timeout_ns = tools::parse_duration(raw.timeout);
  if (!timeout_ns) return fail("-timeout {}", timeout_ns.error().message);
  if (*timeout_ns < 0) return fail("-timeout \"{}\": must not be negative", raw.timeout);
  options.timeout_ns = *timeout_ns != 0 ? *timeout_ns : default_timeout_ns(options);

  return tools::interpret_srccidr(raw.srccidr, options.source_cidr);
}

}  // namespace

int64_t default_timeout_ns(const Options& options) {
  if (options.keep) return static_cast<int64_t>(3600 * kNsPerSec);
  return options.nconn * static_cast<int64_t>(kNsPerMs) + static_cast<int64_t>(2 * kNsPerSec);
}

Parsed parse(int argc, const char* const* argv) {
  return tools::parse_options<Options, Raw>("mconnect", kAbout, argc, argv, describe, interpret);
}

}  // namespace xdplb::mconnect
