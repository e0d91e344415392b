// What was counted on all CPUs, and how it is said.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "tools/packets/abi.h"
#include "tools/xdpsink/options.h"

namespace xdplb::xdpsink {

// The sum of the CPUs' counts. The program goes on counting meanwhile: the sums are each right, and all together only
// when no packet comes.
xdpsink_counts sum_counts(std::span<const xdpsink_counts> counts);

// The latency that `share` of the packets (0..1) did not exceed, ns: the middle of the bucket that it lies in. 0
// where none was taken.
uint64_t percentile(const xdpsink_counts& counts, double share);
// The latencies that fall into a bucket: from here to the next bucket's.
uint64_t bucket_floor(uint32_t bucket);

// One JSON object on a line. `run`: how often counting began anew.
std::string report(const xdpsink_counts& counts, const Options& options, uint64_t time_ns, uint32_t run);

}  // namespace xdplb::xdpsink
