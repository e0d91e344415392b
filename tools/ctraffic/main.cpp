// ctraffic: continuous traffic on many connections, and what became of each. See tools/README.md.

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>

#include "tools/common/console.h"
#include "tools/common/early_exit.h"
#include "tools/common/resources.h"
#include "tools/common/stop_signals.h"
#include "tools/ctraffic/analyze.h"
#include "tools/ctraffic/client.h"
#include "tools/ctraffic/options.h"
#include "tools/ctraffic/protocol.h"

namespace xdplb::ctraffic {
namespace {

constexpr uint64_t kOwnDescriptors = 32;           // standard streams, ring, signals, listeners, resolver
constexpr uint64_t kServerDescriptors = 1u << 17;  // asked for; whatever the host grants is used

Result<void> print_result(const std::string& text) {
  fmt::print("{}", text);
  if (std::fflush(stdout) != 0) return fail_errno(errno, "Cannot write the result");
  return {};
}

Result<std::unique_ptr<tools::UdpServer>> listen_udp(tools::EventLoop& loop, const Options& options,
                                                     const std::string& host) {
  auto addresses = tools::resolve(options.udp_address, tools::Purpose::listen);
  if (!addresses) return addresses.error();
  return tools::UdpServer::listen(loop, addresses->front(), echo_datagrams(host));
}

Result<void> serve(tools::EventLoop& loop, const Options& options) {
  tools::raise_descriptor_limit(kServerDescriptors);
  auto host = tools::host_name();
  if (!host) return host.error();
  auto addresses = tools::resolve(options.tcp_address, tools::Purpose::listen);
  if (!addresses) return addresses.error();
  auto tcp = tools::TcpServer::listen(loop, addresses->front(), echo_sessions(*host));
  if (!tcp) return tcp.error();
  std::unique_ptr<tools::UdpServer> udp;
  if (options.udp) {
    auto opened = listen_udp(loop, options, *host);
    if (!opened) return opened.error();
    udp = std::move(*opened);
  }
  auto signals = tools::StopSignals::create(loop, [&loop] { loop.stop(); });
  if (!signals) return signals.error();
  // Last: who reads this may connect, and may send a signal.
  if (udp) tools::console_line("Listen on UDP address;  " + options.udp_address);
  tools::console_line("Listen on address;  " + options.tcp_address);
  return loop.run();
}

Result<tools::SourcePool> make_sources(const Options& options) {
  if (options.source_cidr) return tools::SourcePool(*options.source_cidr, tools::seed_or_random(0));
  if (!options.source_file.empty()) return tools::SourcePool::read_file(options.source_file);
  return tools::SourcePool();
}

Result<void> generate(tools::EventLoop& loop, const Options& options) {
  auto sources = make_sources(options);
  if (!sources) return sources.error();
  auto remotes = tools::resolve_for(*sources, options.udp ? options.udp_address : options.tcp_address);
  if (!remotes) return remotes.error();
  const uint64_t needed = static_cast<uint64_t>(options.nconn) + kOwnDescriptors;
  const uint64_t limit = tools::raise_descriptor_limit(needed);
  const std::string why = fmt::format("-nconn {}", options.nconn);
  if (auto ok = tools::check_descriptor_limit(needed, limit, why); !ok) return ok;

  Client client(loop, options, std::move(*remotes), std::move(*sources));
  auto signals = tools::StopSignals::create(loop, [&client] { client.stop(); });
  if (!signals) return signals.error();
  client.start();
  if (auto ran = loop.run(); !ran) return ran;

  if (!client.connect_cause().empty()) tools::console_line("Last failed connect; " + client.connect_cause());
  if (options.stats != Stats::none) {
    if (auto printed = print_result(to_json(client.take_statistics())); !printed) return printed;
  }
  if (!client.fatal().empty()) return fail("{}", client.fatal());
  return {};
}

Result<void> analyze(const Options& options) {
  auto statistics = read_statistics(options.stat_file);
  if (!statistics) return statistics.error();
  auto table = options.analysis == Analysis::hosts         ? analyze_hosts(*statistics)
               : options.analysis == Analysis::connections ? analyze_connections(*statistics)
                                                           : analyze_throughput(*statistics);
  if (!table) return fail("{}: {}", options.stat_file, table.error().message);
  return print_result(*table);
}

Result<void> run(const Options& options) {
  if (options.mode == Mode::version) return print_result(XDPLB_VERSION "\n");
  if (options.mode == Mode::analyze) return analyze(options);
  auto poller = tools::make_poller();
  if (!poller) return poller.error();
  tools::EventLoop loop(std::move(*poller));
  return options.mode == Mode::server ? serve(loop, options) : generate(loop, options);
}

}  // namespace
}  // namespace xdplb::ctraffic

int main(int argc, char** argv) {
  namespace tools = xdplb::tools;
  const auto parsed = xdplb::ctraffic::parse(argc, argv);
  if (!parsed.options) return parsed.exit.print();
  const auto result = xdplb::ctraffic::run(*parsed.options);
  if (result) return tools::kExitDone;
  fmt::print(stderr, "ctraffic: {}\n", result.error().message);
  return tools::kExitFailed;
}
