#include "tools/ctraffic/options.h"

#include <cmath>

#include "tools/common/command_line.h"
#include "tools/common/duration.h"
#include "tools/ctraffic/protocol.h"

namespace xdplb::ctraffic {
namespace {

constexpr const char* kAbout =
    "Sets up, maintains and monitors many continuous connections.\n"
    "  1. Server: a simple echo server\n  2. Client: a traffic generator\n  3. Analyze: analysis of stored "
    "statistics";

constexpr int64_t kPacketBytesMax = 64 << 20;
constexpr int64_t kDatagramBytesMax = 65507;  // what an IPv4 packet holds

// Option values as they stand on the command line.
struct Raw {
  bool server = false;
  bool version = false;
  std::string address;
  std::string client = "echo";
  std::string timeout = "10s";
  std::string stats = "summary";
  std::string analyze = "throughput";
  std::string srccidr;
};

void describe(CLI::App& app, Options& options, Raw& raw) {
  app.set_help_flag("--help", "print this help and quit");
  app.add_option("--address", raw.address, "server address (default [::1]:5003, UDP [::1]:6003)");
  app.add_flag("--server", raw.server, "act as server");
  app.add_option("--client", raw.client, "echo")->capture_default_str();
  app.add_option("--nconn", options.nconn, "number of connections")->capture_default_str();
  app.add_option("--rate", options.rate_kb_per_s, "KB/second, of all connections together")->capture_default_str();
  app.add_option("--psize", options.packet_bytes, "packet size in bytes, at least 64")->capture_default_str();
  app.add_option("--timeout", raw.timeout, "how long to send, such as 10s or 1m30s")->capture_default_str();
  app.add_flag("--monitor", options.monitor, "print the state each second on standard error");
  app.add_option("--stats", raw.stats, "none|summary|all")->capture_default_str();
  app.add_flag("--reconnect", options.reconnect, "connect anew when a connection fails (default true)");
  app.add_option("--retries", options.retries, "connections made in all, as a multiple of nconn")
      ->capture_default_str();
  app.add_option("--srccidr", raw.srccidr, "a random source address of this prefix for each connection");
  app.add_option("--srcfile", options.source_file, "source addresses, one a line, used in order");
  app.add_flag("--udp", options.udp, "use UDP (server: UDP too)");
  app.add_option("--stat_file", options.stat_file, "statistics to analyze; - is standard input");
  app.add_option("--analyze", raw.analyze, "throughput|connections|hosts")->capture_default_str();
  app.add_flag("--version", raw.version, "print the version and quit");
}

template <typename T>
Result<T> choose(std::string_view option, const std::string& value,
                 std::initializer_list<std::pair<std::string_view, T>> choices) {
  std::string names;
  for (const auto& [name, choice] : choices) {
    if (value == name) return choice;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", name);
  }
  return fail("{} \"{}\": must be one of {}", option, value, names);
}

Result<void> interpret_words(Options& options, const Raw& raw) {
  auto stats =
      choose<Stats>("-stats", raw.stats, {{"none", Stats::none}, {"summary", Stats::summary}, {"all", Stats::all}});
  if (!stats) return stats.error();
  auto analysis = choose<Analysis>(
      "-analyze", raw.analyze,
      {{"throughput", Analysis::throughput}, {"connections", Analysis::connections}, {"hosts", Analysis::hosts}});
  if (!analysis) return analysis.error();
  if (auto client = choose<bool>("-client", raw.client, {{"echo", true}}); !client) return client.error();
  options.stats = *stats;
  options.analysis = *analysis;
  options.mode = raw.version                  ? Mode::version
                 : !options.stat_file.empty() ? Mode::analyze
                 : raw.server                 ? Mode::server
                                              : Mode::client;
  if (!raw.address.empty()) options.tcp_address = options.udp_address = raw.address;
  return {};
}

Result<void> interpret_numbers(Options& options, const Raw& raw) {
  const bool sends_datagrams = options.udp && options.mode == Mode::client;
  if (auto ok = tools::check_range("-nconn", options.nconn, 0, 1'000'000); !ok) return ok;
  if (auto ok = tools::check_range("-retries", options.retries, 0, 1'000'000); !ok) return ok;
  const int64_t packet_bytes_max = sends_datagrams ? kDatagramBytesMax : kPacketBytesMax;
  if (auto ok = tools::check_range("-psize", options.packet_bytes, 0, packet_bytes_max); !ok) return ok;
  options.packet_bytes = std::max<int64_t>(options.packet_bytes, kHostBytes);
  if (!std::isfinite(options.rate_kb_per_s) || options.rate_kb_per_s <= 0) {
    return fail("-rate {}: must be more than 0", options.rate_kb_per_s);
  }
  auto timeout_ns = tools::parse_duration(raw.timeout);
  if (!timeout_ns) return fail("-timeout {}", timeout_ns.error().message);
  if (*timeout_ns <= 0) return fail("-timeout \"{}\": must be more than 0", raw.timeout);
  options.timeout_ns = *timeout_ns;
  return {};
}

Result<void> interpret(Options& options, const Raw& raw) {
  if (auto ok = interpret_words(options, raw); !ok) return ok;
  if (auto ok = interpret_numbers(options, raw); !ok) return ok;
  return tools::interpret_srccidr(raw.srccidr, options.source_cidr);
}

}  // namespace

Parsed parse(int argc, const char* const* argv) {
  return tools::parse_options<Options, Raw>("ctraffic", kAbout, argc, argv, describe, interpret);
}

}  // namespace xdplb::ctraffic
