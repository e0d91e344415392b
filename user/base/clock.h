// The one clock: CLOCK_MONOTONIC in nanoseconds. Read at the edges (once per worker turn, once per control
// event) and handed down as an argument: nothing in net/ or lb/ reads it.
#pragma once

#include <cstdint>
#include <ctime>

namespace xdplb {

inline constexpr uint64_t kNsPerSec = 1'000'000'000;
inline constexpr uint64_t kNsPerMs = 1'000'000;
inline constexpr uint64_t kNsPerUs = 1'000;

inline uint64_t monotonic_ns() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return static_cast<uint64_t>(ts.tv_sec) * kNsPerSec + static_cast<uint64_t>(ts.tv_nsec);
}

// Wall-clock time, since 1970: only for what people or other machines read.
inline uint64_t realtime_ns() {
  timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  return static_cast<uint64_t>(ts.tv_sec) * kNsPerSec + static_cast<uint64_t>(ts.tv_nsec);
}

}  // namespace xdplb
