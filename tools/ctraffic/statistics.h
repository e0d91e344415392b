// What a run yields, in the form in which it is printed, stored and analyzed. Values only. Times are nanoseconds
// since `started`, durations nanoseconds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "user/base/result.h"

namespace xdplb::ctraffic {

struct ConnStats {
  int64_t started_ns = 0;
  int64_t connect_ns = 0;  // 0: never connected
  int64_t ended_ns = 0;    // the planned end for a connection that lasted
  std::string err;         // why it was lost; empty for one that lasted or never connected
  uint64_t sent = 0;
  uint64_t received = 0;
  uint64_t dropped = 0;
  uint64_t retransmits = 0;
  std::string local;
  std::string remote;
  std::string host;
};

struct Sample {
  int64_t time_ns = 0;
  uint64_t sent = 0;
  uint64_t received = 0;
  uint64_t dropped = 0;
};

struct Statistics {
  std::string started;  // RFC 3339
  int64_t duration_ns = 0;
  double rate_kb_per_s = 0;
  int64_t connections = 0;
  uint64_t packet_bytes = 0;
  uint64_t failed_connections = 0;
  uint64_t sent = 0;
  uint64_t received = 0;
  uint64_t dropped = 0;  // packets that were due but not sent, because an earlier one was still under way
  uint64_t retransmits = 0;
  uint64_t failed_connects = 0;
  std::vector<ConnStats> conn_stats;
  std::vector<Sample> samples;
};

// One line of JSON. Empty ConnStats and Samples are left out.
std::string to_json(const Statistics& statistics);

// The inverse; missing members are 0. `name` is where the text came from, for messages.
Result<Statistics> from_json(std::string_view text, std::string_view name);

// Reads `path` ("-": standard input).
Result<Statistics> read_statistics(const std::string& path);

}  // namespace xdplb::ctraffic
