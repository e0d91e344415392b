// Tally: what came of the connections, and how it is printed. A value; the client fills it on one thread.
#pragma once

#include <cstdint>
#include <ctime>
#include <map>
#include <string>

namespace xdplb::mconnect {

struct Tally {
  std::map<std::string, uint64_t> hosts;  // sorted, as the original's JSON is
  int64_t connects = 0;
  uint64_t failed_connects = 0;
  uint64_t failed_reads = 0;
  timespec start_time{};
  int64_t timeout_ns = 0;
  int64_t duration_ns = 0;

  [[nodiscard]] bool any_failed() const { return failed_connects > 0 || failed_reads > 0; }
  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::string json() const;
};

}  // namespace xdplb::mconnect
