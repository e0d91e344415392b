#include "tools/xdpgen/options.h"

#include <algorithm>

#include "tools/common/command_line.h"
#include "tools/common/duration.h"
#include "tools/packets/abi.h"

namespace xdplb::xdpgen {
namespace {

constexpr const char* kAbout =
    "Sends UDP packets of many flows out of a device as XDP frames, stamped for xdpsink, and says as JSON how many. "
    "Kernel 5.18 or later; a veth's other end needs an XDP program or GRO.";

constexpr uint32_t kBatchMax = 64;
constexpr double kBatchSeconds = 10e-6;
constexpr double kRateMax = 100e6;

struct Raw {
  std::string to, from;
  std::string vip = "10.0.0.0";
  std::string source;
  std::string duration = "0";
};

void describe(CLI::App& app, Options& options, Raw& raw) {
  app.set_help_flag("--help", "print this help and quit");
  app.add_option("--device", options.device, "the device to send from");
  app.add_option("--to", raw.to, "destination MAC: the balancer's ingress device");
  app.add_option("--from", raw.from, "source MAC (the device's)");
  app.add_option("--vip", raw.vip, "destination address, IPv4 or IPv6")->capture_default_str();
  app.add_option("--source", raw.source, "address of the first flow (50.0.0.1 or 2000::1)");
  app.add_option("--port", options.port, "destination port")->capture_default_str();
  app.add_option("--flows", options.flows, "flows, sent in turn: 16384 ports an address")->capture_default_str();
  app.add_option("--size", options.size_bytes, "bytes of a frame, from 60 (IPv6: 80) to 1514")->capture_default_str();
  app.add_option("--rate", options.rate, "packets a second; 0: as fast as it goes")->capture_default_str();
  app.add_option("--batch", options.batch, "packets handed over at once (those of 10 us, at most 64)");
  app.add_option("--count", options.count, "packets to send; 0: no end")->capture_default_str();
  app.add_option("--duration", raw.duration, "10s, 500ms; 0: no end")->capture_default_str();
  app.add_option("--cpu", options.cpu, "the CPU to run on");
  app.add_flag("--version", options.version, "print the version and quit");
}

Result<void> read_addresses(Options& options, const Raw& raw) {
  if (options.device.empty()) return fail("-device is missing");
  if (raw.to.empty()) return fail("-to is missing");
  auto to = parse_mac(raw.to);
  if (!to) return fail("-to: {}", to.error().message);
  options.to = *to;
  if (!raw.from.empty()) {
    auto from = parse_mac(raw.from);
    if (!from) return fail("-from: {}", from.error().message);
    options.from = *from;
  }
  auto vip = parse_ip(raw.vip);
  if (!vip) return fail("-vip: {}", vip.error().message);
  options.vip = *vip;
  const char* const first = options.vip.is_v4() ? "50.0.0.1" : "2000::1";
  auto source = parse_ip(raw.source.empty() ? first : raw.source);
  if (!source) return fail("-source: {}", source.error().message);
  options.source = *source;
  if (options.source.is_v4() != options.vip.is_v4()) return fail("-source and -vip: not of one family");
  return {};
}

Result<void> interpret(Options& options, const Raw& raw) {
  if (options.version) return {};
  if (auto ok = read_addresses(options, raw); !ok) return ok;
  if (auto ok = tools::check_range("-flows", options.flows, 1, PACKET_FLOWS_MAX); !ok) return ok;
  const int64_t size_min = options.vip.is_v4() ? PACKET_BYTES_MIN4 : PACKET_BYTES_MIN6;
  if (auto ok = tools::check_range("-size", options.size_bytes, size_min, PACKET_BYTES_MAX); !ok) return ok;
  if (!(options.rate == 0 || (options.rate >= 1 && options.rate <= kRateMax))) {
    return fail("-rate {}: must be 0, or from 1 to {}", options.rate, kRateMax);
  }
  if (options.batch == 0) options.batch = batch_for(options.rate);
  if (auto ok = tools::check_range("-batch", options.batch, 1, 256); !ok) return ok;
  auto duration_ns = tools::parse_duration(raw.duration);
  if (!duration_ns) return fail("-duration {}", duration_ns.error().message);
  if (*duration_ns < 0) return fail("-duration \"{}\": must not be negative", raw.duration);
  options.duration_ns = *duration_ns;
  return {};
}

}  // namespace

uint32_t batch_for(double rate) {
  if (rate == 0) return kBatchMax;
  return std::clamp(static_cast<uint32_t>(rate * kBatchSeconds), 1u, kBatchMax);
}

Parsed parse(int argc, const char* const* argv) {
  return tools::parse_options<Options, Raw>("xdpgen", kAbout, argc, argv, describe, interpret);
}

}  // namespace xdplb::xdpgen
