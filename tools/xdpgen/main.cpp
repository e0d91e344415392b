// xdpgen: many flows of UDP packets as live XDP frames. See tools/README.md.
#include <fmt/format.h>

#include <atomic>
#include <csignal>
#include <cstdio>

#include "tools/common/json_object.h"
#include "tools/xdpgen/generator.h"
#include "tools/xdpgen/options.h"

namespace xdplb::xdpgen {
namespace {

std::atomic<bool> stop = false;

// No SA_RESTART: the signal ends a call that is under way.
void stop_on_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { stop = true; };
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

std::string report(const Options& options, const Sent& sent) {
  const double seconds = static_cast<double>(sent.duration_ns) * 1e-9;
  return tools::JsonObject()
      .add("sent", sent.packets)
      .add("duration_ns", sent.duration_ns)
      .add("pps", static_cast<double>(sent.packets) / seconds)
      .add("lost_ns", sent.lost_ns)
      .add("flows", options.flows)
      .add("size", options.size_bytes)
      .add("batch", options.batch)
      .text();
}

Result<Sent> send(const Options& options) {
  if (auto ok = tools::pin_to_cpu(options.cpu); !ok) return ok.error();
  auto generator = Generator::create(options);
  if (!generator) return generator.error();
  return generator->run(stop);
}

int run(int argc, const char* const* argv) {
  const Parsed parsed = parse(argc, argv);
  if (!parsed.options) return parsed.exit.print();
  if (parsed.options->version) {
    fmt::print("{}\n", XDPLB_VERSION);
    return tools::kExitDone;
  }
  stop_on_signals();
  const auto sent = send(*parsed.options);
  if (!sent) {
    fmt::print(stderr, "xdpgen: {}\n", sent.error().message);
    return tools::kExitFailed;
  }
  fmt::print("{}\n", report(*parsed.options, *sent));
  return tools::kExitDone;
}

}  // namespace
}  // namespace xdplb::xdpgen

int main(int argc, char** argv) {
  return xdplb::xdpgen::run(argc, argv);
}
