#include "tools/mconnect/tally.h"

#include <fmt/format.h>

#include "tools/common/json_object.h"

namespace xdplb::mconnect {

std::string Tally::text() const {
  std::string out = fmt::format("Failed connects; {}\nFailed reads; {}\n", failed_connects, failed_reads);
  for (const auto& [host, count] : hosts) out += fmt::format("{} {}\n", host, count);
  return out;
}

std::string Tally::json() const {
  tools::JsonObject counts;
  for (const auto& [host, count] : hosts) counts.add(host, count);
  tools::JsonObject object;
  object.raw("hosts", counts.text())
      .add("connects", connects)
      .add("failed_connects", failed_connects)
      .add("failed_reads", failed_reads)
      .add("start_time", tools::rfc3339(start_time))
      .add("timeout", timeout_ns)
      .add("duration", duration_ns);
  return object.text() + '\n';
}

}  // namespace xdplb::mconnect
