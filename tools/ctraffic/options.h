// ctraffic's command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tools/common/early_exit.h"
#include "tools/common/source_pool.h"

namespace xdplb::ctraffic {

enum class Mode { client, server, analyze, version };
enum class Stats { none, summary, all };
enum class Analysis { throughput, connections, hosts };

struct Options {
  Mode mode = Mode::client;
  bool udp = false;
  bool monitor = false;
  bool reconnect = true;
  std::string tcp_address = "[::1]:5003";
  std::string udp_address = "[::1]:6003";
  int64_t nconn = 1;
  int64_t retries = 10;
  int64_t packet_bytes = 1024;
  double rate_kb_per_s = 10;
  int64_t timeout_ns = 10'000'000'000;
  Stats stats = Stats::summary;
  Analysis analysis = Analysis::throughput;
  std::string stat_file;
  std::optional<tools::SourceCidr> source_cidr;
  std::string source_file;
};

using Parsed = tools::Parsed<Options>;

Parsed parse(int argc, const char* const* argv);

}  // namespace xdplb::ctraffic
