#include "tools/ctraffic/token_bucket.h"

#include <algorithm>
#include <cmath>

namespace xdplb::ctraffic {
namespace {

constexpr double kPacketsMax = 10;
constexpr double kLongestWaitNs = 9e18;  // a rate near zero: longer than any run

}  // namespace

TokenBucket::TokenBucket(double bytes_per_s, double packet_bytes, double initial_bytes, uint64_t now_ns)
    : bytes_per_s_(bytes_per_s), packet_bytes_(packet_bytes), bytes_(initial_bytes), updated_ns_(now_ns) {}

double TokenBucket::filled(uint64_t now_ns) const {
  const double elapsed_s = static_cast<double>(now_ns - updated_ns_) / 1e9;
  return std::min(bytes_ + elapsed_s * bytes_per_s_, kPacketsMax * packet_bytes_);
}

bool TokenBucket::take(uint64_t now_ns) {
  // wait_ns() rounds up to whole nanoseconds, so what it promised is there but for the rounding of doubles.
  constexpr double kRounding = 1e-6;
  const double bytes = filled(now_ns);
  if (bytes + kRounding < packet_bytes_) return false;
  bytes_ = std::max(bytes - packet_bytes_, 0.0);
  updated_ns_ = now_ns;
  return true;
}

uint64_t TokenBucket::wait_ns(uint64_t now_ns) const {
  const double missing = packet_bytes_ - filled(now_ns);
  if (missing <= 0) return 0;
  return static_cast<uint64_t>(std::min(std::ceil(missing / bytes_per_s_ * 1e9), kLongestWaitNs));
}

}  // namespace xdplb::ctraffic
