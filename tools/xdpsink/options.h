// What xdpsink is asked to watch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/common/early_exit.h"
#include "user/net/mac.h"

namespace xdplb::xdpsink {

struct Options {
  std::string device;
  std::vector<MacAddr> targets;   // whose packets these may be; their last bytes differ
  std::optional<MacAddr> source;  // who must have sent them
  uint32_t verify = 64;           // the payload of one packet in so many is compared; 0: none
  int64_t interval_ns = 0;        // between two lines of output; 0: only the last
  int64_t duration_ns = 0;        // 0: until a signal
  int cpu = -1;
  uint32_t latency = 1;  // the time of one packet in so many is taken; 0: of none
  bool version = false;
};

using Parsed = tools::Parsed<Options>;

Parsed parse(int argc, const char* const* argv);

}  // namespace xdplb::xdpsink
