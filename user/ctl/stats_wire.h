// DaemonStats as bytes, the body of the statistics segment, and back. Pure.
//
// Record sizes, counts and the names of the drop reasons travel with the data. Fields are only ever added at the end
// of a record, so a reader takes what it knows of a longer record and leaves zero what a shorter one lacks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "user/base/result.h"
#include "user/ctl/stats.h"

namespace xdplb {

std::vector<uint8_t> encode_stats(const DaemonStats& stats);
Result<DaemonStats> decode_stats(std::span<const uint8_t> bytes);

}  // namespace xdplb
