#include "tools/ctraffic/analyze.h"

#include <map>

#include "tools/common/go_format.h"
#include "user/base/clock.h"

namespace xdplb::ctraffic {
namespace {

constexpr auto kSecondNs = static_cast<int64_t>(kNsPerSec);
constexpr int64_t kRowsMax = 1'000'000;  // a file that claims a run of weeks is wrong

struct Second {
  int active = 0;
  int begun = 0;
  int failed = 0;
  int connecting = 0;
};

// What one connection was in the second (from, to].
void count(const ConnStats& c, int64_t from_ns, int64_t to_ns, Second& second) {
  if (c.ended_ns < from_ns) return;
  if (c.ended_ns < to_ns) {
    if (!c.err.empty()) ++second.failed;
    return;
  }
  if (c.started_ns > to_ns) return;
  if (c.started_ns > from_ns) ++second.begun;
  const bool is_connected = c.connect_ns != 0 && c.connect_ns <= to_ns;
  ++(is_connected ? second.active : second.connecting);
}

std::string rows(const std::map<std::string, int>& hosts) {
  std::string out;
  for (const auto& [host, n] : hosts) out += fmt::format("  {} {}\n", host, n);
  return out;
}

}  // namespace

Result<std::string> analyze_throughput(const Statistics& statistics) {
  if (statistics.samples.empty()) return fail("No samples found: they are stored with -stats all");
  std::string out = "Time Throughput\n";
  for (size_t i = 1; i < statistics.samples.size(); ++i) {
    const Sample& from = statistics.samples[i - 1];
    const Sample& to = statistics.samples[i];
    const int64_t interval_ns = to.time_ns - from.time_ns;
    if (interval_ns <= 0 || to.received < from.received) {
      return fail("Samples[{}] does not follow the one before it", i);
    }
    const uint64_t kb = (to.received - from.received) * statistics.packet_bytes / 1024;
    out += fmt::format("{} {}\n", tools::print_float(tools::seconds(from.time_ns + interval_ns / 2)),
                       tools::print_float(static_cast<double>(kb) / tools::seconds(interval_ns)));
  }
  return out;
}

Result<std::string> analyze_connections(const Statistics& statistics) {
  if (statistics.duration_ns / kSecondNs > kRowsMax) return fail("Duration {} is too long", statistics.duration_ns);
  for (size_t i = 0; i < statistics.conn_stats.size(); ++i) {
    if (statistics.conn_stats[i].ended_ns == 0) return fail("ConnStats[{}]: the connection has never ended", i);
  }
  std::string out = "Time Active New Failed Connecting\n";
  for (int64_t to_ns = kSecondNs; to_ns < statistics.duration_ns; to_ns += kSecondNs) {
    const int64_t from_ns = to_ns - kSecondNs;
    Second second;
    for (const ConnStats& c : statistics.conn_stats) count(c, from_ns, to_ns, second);
    out += fmt::format("{} {} {} {} {}\n", tools::print_float(tools::seconds(from_ns + kSecondNs / 2)), second.active,
                       second.begun, second.failed, second.connecting);
  }
  return out;
}

Result<std::string> analyze_hosts(const Statistics& statistics) {
  std::map<std::string, int> lost;
  std::map<std::string, int> lasting;
  int lost_total = 0;
  int lasting_total = 0;
  for (const ConnStats& c : statistics.conn_stats) {
    if (c.host.empty()) continue;
    ++(c.err.empty() ? lasting : lost)[c.host];
    ++(c.err.empty() ? lasting_total : lost_total);
  }
  return fmt::format("Lost connections: {}\n{}Lasting connections: {}\n{}", lost_total, rows(lost), lasting_total,
                     rows(lasting));
}

}  // namespace xdplb::ctraffic
