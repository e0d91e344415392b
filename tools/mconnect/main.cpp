// mconnect: many connections to one address, and how many each server took. See tools/README.md.

#include <fmt/format.h>

#include <cstdio>

#include "tools/common/console.h"
#include "tools/common/early_exit.h"
#include "tools/common/resources.h"
#include "tools/common/stop_signals.h"
#include "tools/mconnect/client.h"
#include "tools/mconnect/options.h"
#include "tools/mconnect/server.h"

namespace xdplb::mconnect {
namespace {

constexpr uint64_t kOwnDescriptors = 32;           // standard streams, ring, signals, listeners, resolver
constexpr uint64_t kServerDescriptors = 1u << 17;  // asked for; whatever the host grants is used

Result<int> serve(tools::EventLoop& loop, const Options& options) {
  tools::raise_descriptor_limit(kServerDescriptors);
  auto host = tools::host_name();
  if (!host) return host.error();
  auto addresses = tools::resolve(options.address, tools::Purpose::listen);
  if (!addresses) return addresses.error();
  auto tcp = tools::TcpServer::listen(loop, addresses->front(), name_sessions(*host));
  if (!tcp) return tcp.error();
  std::unique_ptr<tools::UdpServer> udp;
  if (options.udp) {
    auto opened = tools::UdpServer::listen(loop, addresses->front(), name_datagrams(*host));
    if (!opened) return opened.error();
    udp = std::move(*opened);
  }
  auto signals = tools::StopSignals::create(loop, [&loop] { loop.stop(); });
  if (!signals) return signals.error();
  // Last: who reads this may connect, and may send a signal.
  if (udp) tools::console_line("Listen on UDP address;  " + options.address);
  tools::console_line("Listen on address;  " + options.address);
  if (auto ran = loop.run(); !ran) return ran.error();
  return tools::kExitDone;
}

tools::SourcePool make_sources(const Options& options) {
  if (!options.source_cidr) return {};
  return {*options.source_cidr, tools::seed_or_random(options.seed)};
}

Result<int> connect(tools::EventLoop& loop, const Options& options) {
  const tools::SourcePool sources = make_sources(options);
  auto remotes = tools::resolve_for(sources, options.address);
  if (!remotes) return remotes.error();
  const auto needed = static_cast<uint64_t>(options.nconn) + kOwnDescriptors;
  const uint64_t limit = tools::raise_descriptor_limit(needed);
  if (options.keep) {
    // Without -keep fewer descriptors only mean fewer connections at the same time.
    const std::string why = fmt::format("-keep -nconn {}", options.nconn);
    if (auto ok = tools::check_descriptor_limit(needed, limit, why); !ok) return ok.error();
  }
  Client client(loop, options, std::move(*remotes), sources, limit > kOwnDescriptors ? limit - kOwnDescriptors : 1);
  auto signals = tools::StopSignals::create(loop, [&client] { client.finish(); });
  if (!signals) return signals.error();
  client.start();
  if (auto ran = loop.run(); !ran) return ran.error();

  for (const auto& [cause, count] : client.causes()) tools::console_line(fmt::format("{} x {}", count, cause));
  const Tally& tally = client.tally();
  fmt::print("{}", options.output == Output::json ? tally.json() : tally.text());
  if (std::fflush(stdout) != 0) return fail_errno(errno, "Cannot write the result");
  return tally.any_failed() ? tools::kExitFailed : tools::kExitDone;
}

int run(int argc, const char* const* argv) {
  const Parsed parsed = parse(argc, argv);
  if (!parsed.options) return parsed.exit.print();
  if (parsed.options->version) {
    fmt::print("{}\n", XDPLB_VERSION);
    return tools::kExitDone;
  }
  auto poller = tools::make_poller();
  Result<int> result = poller.has_value() ? Result<int>(tools::kExitDone) : Result<int>(poller.error());
  if (poller) {
    tools::EventLoop loop(std::move(*poller));
    result = parsed.options->server ? serve(loop, *parsed.options) : connect(loop, *parsed.options);
  }
  if (result) return *result;
  fmt::print(stderr, "mconnect: {}\n", result.error().message);
  return tools::kExitFailed;
}

}  // namespace
}  // namespace xdplb::mconnect

int main(int argc, char** argv) {
  return xdplb::mconnect::run(argc, argv);
}
