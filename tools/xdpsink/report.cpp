#include "tools/xdpsink/report.h"

#include <cmath>

#include "tools/common/json_object.h"

namespace xdplb::xdpsink {

xdpsink_counts sum_counts(std::span<const xdpsink_counts> counts) {
  // Nothing but counters, one after the other.
  constexpr size_t kWords = sizeof(xdpsink_counts) / sizeof(__u64);
  static_assert(kWords * sizeof(__u64) == sizeof(xdpsink_counts));
  xdpsink_counts sum{};
  auto* const to = reinterpret_cast<__u64*>(&sum);
  for (const xdpsink_counts& cpu : counts) {
    const auto* const from = reinterpret_cast<const volatile __u64*>(&cpu);
    for (size_t i = 0; i < kWords; ++i) to[i] += from[i];
  }
  return sum;
}

uint64_t bucket_floor(uint32_t bucket) {
  if (bucket < XDPSINK_PARTS) return bucket;
  const uint32_t octave = bucket / XDPSINK_PARTS - 1;
  return (uint64_t{XDPSINK_PARTS} + bucket % XDPSINK_PARTS) << octave;
}

uint64_t percentile(const xdpsink_counts& counts, double share) {
  uint64_t total = 0;
  for (const __u64 n : counts.latency) total += n;
  if (total == 0) return 0;
  const auto rank = static_cast<uint64_t>(std::ceil(share * static_cast<double>(total)));
  uint64_t seen = 0;
  uint32_t bucket = 0;
  while (bucket + 1 < XDPSINK_BUCKETS && (seen += counts.latency[bucket]) < rank) ++bucket;
  return (bucket_floor(bucket) + bucket_floor(bucket + 1)) / 2;
}

std::string report(const xdpsink_counts& counts, const Options& options, uint64_t time_ns, uint32_t run) {
  tools::JsonObject targets;
  for (const MacAddr& mac : options.targets) targets.add(to_string(mac), counts.by_target[mac.bytes[5]]);
  tools::JsonObject object;
  object.add("time_ns", time_ns)
      .add("run", run)
      .add("packets", counts.packets)
      .add("bytes", counts.bytes)
      .add("bad_destination", counts.bad_destination)
      .add("bad_source", counts.bad_source)
      .add("bad_checksum", counts.bad_checksum)
      .add("bad_payload", counts.bad_payload)
      .add("verified", counts.verified)
      .add("out_of_order", counts.out_of_order)
      .add("gaps", counts.gaps)
      .add("unknown_flow", counts.unknown_flow)
      .add("foreign", counts.foreign);
  if (options.latency != 0) {
    object.add("p50_ns", percentile(counts, 0.5))
        .add("p90_ns", percentile(counts, 0.9))
        .add("p99_ns", percentile(counts, 0.99));
  }
  return object.raw("targets", targets.text()).text();
}

}  // namespace xdplb::xdpsink
