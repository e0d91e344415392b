#include "tools/xdpsink/options.h"

#include <bit>
#include <set>

#include "tools/common/command_line.h"
#include "tools/common/duration.h"

namespace xdplb::xdpsink {
namespace {

constexpr const char* kAbout =
    "Receives the packets of xdpgen on a device, judges and drops them there, and says as JSON what came: how many, "
    "for whom, how late, and what was wrong. SIGUSR1: say it and begin anew. SIGINT: say it and end.";

struct Raw {
  std::vector<std::string> targets;
  std::string source;
  std::string interval = "0";
  std::string duration = "0";
};

void describe(CLI::App& app, Options& options, Raw& raw) {
  app.set_help_flag("--help", "print this help and quit");
  app.add_option("--device", options.device, "the device to receive on");
  app.add_option("--targets", raw.targets, "MACs that packets may be for, separated by commas; no two end alike")
      ->delimiter(',');
  app.add_option("--source", raw.source, "MAC that packets must come from: the balancer's egress device (any)");
  app.add_option("--verify", options.verify, "compare the payload of one packet in so many, a power of two; 0: none")
      ->capture_default_str();
  app.add_option("--interval", raw.interval, "print a line every so often; 0: only the last")->capture_default_str();
  app.add_option("--duration", raw.duration, "10s, 500ms; 0: until a signal")->capture_default_str();
  app.add_option("--cpu", options.cpu, "the CPU to run on (packets are received where they are sent)");
  app.add_option("--latency", options.latency, "take the time of one packet in so many; 0: of none")
      ->capture_default_str();
  app.add_flag("--version", options.version, "print the version and quit");
}

Result<int64_t> read_duration(const char* option, const std::string& text) {
  auto ns = tools::parse_duration(text);
  if (!ns) return fail("{} {}", option, ns.error().message);
  if (*ns < 0) return fail("{} \"{}\": must not be negative", option, text);
  return *ns;
}

Result<void> read_targets(Options& options, const Raw& raw) {
  std::set<uint8_t> last;
  for (const std::string& text : raw.targets) {
    auto mac = parse_mac(text);
    if (!mac) return fail("-targets: {}", mac.error().message);
    if (!last.insert(mac->bytes[5]).second) return fail("-targets: another one ends like {}", text);
    options.targets.push_back(*mac);
  }
  return {};
}

Result<void> interpret(Options& options, const Raw& raw) {
  if (options.version) return {};
  if (options.device.empty()) return fail("-device is missing");
  if (raw.targets.empty()) return fail("-targets is missing");
  if (auto ok = read_targets(options, raw); !ok) return ok;
  if (!raw.source.empty()) {
    auto mac = parse_mac(raw.source);
    if (!mac) return fail("-source: {}", mac.error().message);
    options.source = *mac;
  }
  if (options.verify != 0 && !std::has_single_bit(options.verify)) {
    return fail("-verify {}: must be 0 or a power of two", options.verify);
  }
  auto interval_ns = read_duration("-interval", raw.interval);
  if (!interval_ns) return interval_ns.error();
  options.interval_ns = *interval_ns;
  auto duration_ns = read_duration("-duration", raw.duration);
  if (!duration_ns) return duration_ns.error();
  options.duration_ns = *duration_ns;
  return {};
}

}  // namespace

Parsed parse(int argc, const char* const* argv) {
  return tools::parse_options<Options, Raw>("xdpsink", kAbout, argc, argv, describe, interpret);
}

}  // namespace xdplb::xdpsink
