// What tests and benches of the flow table share: memory for a table, and keys by number.
#pragma once

#include <sys/mman.h>

#include <cstring>
#include <span>

#include "user/base/check.h"
#include "user/lb/flow_table.h"

namespace xdplb {

// Zeroed memory of which only what is touched is taken.
class FlowMemory {
 public:
  explicit FlowMemory(uint32_t flows, bool huge_pages = false) : bytes_(flow_geometry(flows).region_bytes) {
    data_ = mmap(nullptr, bytes_ + kFlowAlignBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    XDPLB_CHECK(data_ != MAP_FAILED);
    const auto at = reinterpret_cast<uintptr_t>(data_);
    aligned_ = reinterpret_cast<std::byte*>((at + kFlowAlignBytes - 1) / kFlowAlignBytes * kFlowAlignBytes);
    if (huge_pages) madvise(aligned_, bytes_, MADV_HUGEPAGE);
  }
  ~FlowMemory() { munmap(data_, bytes_ + kFlowAlignBytes); }
  FlowMemory(const FlowMemory&) = delete;
  FlowMemory& operator=(const FlowMemory&) = delete;

  [[nodiscard]] std::span<std::byte> bytes() const { return {aligned_, bytes_}; }

 private:
  size_t bytes_;
  void* data_;
  std::byte* aligned_;
};

// The n-th client of 10.0.0.1:80.
inline FlowKey flow_key(uint32_t n, uint8_t protocol = 6) {
  const uint8_t vip[4] = {10, 0, 0, 1};
  const uint32_t source = 0x0100000b + n / 50000;
  FlowKey key;
  key.src = IpAddr::v4(&source);
  key.dst = IpAddr::v4(vip);
  key.src_port = static_cast<uint16_t>(1024 + n % 50000);
  key.dst_port = 80;
  key.protocol = protocol;
  return key;
}

// The same timeouts for all states would hide a mistake: half seconds, so that a clock of whole seconds never falls
// into the two ticks after a timeout.
inline FlowPolicy test_policy(uint32_t flows_max, uint32_t embryonic_max) {
  FlowPolicy policy;
  const uint64_t half_seconds[kFlowStates] = {0, 61, 41, 1801, 31, 11, 121, 101};
  for (uint32_t s = 1; s < kFlowStates; ++s) {
    policy.timeouts.set(static_cast<FlowState>(s), half_seconds[s] * 500'000'000);
  }
  policy.flows_max = flows_max;
  policy.embryonic_max = embryonic_max;
  return policy;
}

inline constexpr uint64_t kSecond = 1'000'000'000;

}  // namespace xdplb
