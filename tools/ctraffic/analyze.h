// The tables that -analyze prints, computed from stored statistics. Pure functions: text out, or what is missing.
#pragma once

#include <string>

#include "tools/ctraffic/statistics.h"
#include "user/base/result.h"

namespace xdplb::ctraffic {

// "Time Throughput": the middle of each sampling interval in seconds, and the KB/s received in it.
Result<std::string> analyze_throughput(const Statistics& statistics);

// "Time Active New Failed Connecting": the connections in each full second.
Result<std::string> analyze_connections(const Statistics& statistics);

// How many connections each server lost, and how many lasted.
Result<std::string> analyze_hosts(const Statistics& statistics);

}  // namespace xdplb::ctraffic
