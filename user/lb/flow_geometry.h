// How many bytes a flow table takes, where its parts lie, and whether memory holds one. Cold path.
#pragma once

#include <cstddef>
#include <span>

#include "user/base/result.h"
#include "user/lb/flow_layout.h"

namespace xdplb {

inline constexpr uint32_t kMinFlows = 64;
inline constexpr uint32_t kMaxFlows = 1u << 27;      // per worker: 4 GiB of buckets
inline constexpr uint32_t kDefaultFlows = 1u << 20;  // `--flows`, per worker

inline constexpr size_t kFlowServicesOffset = 4096;
inline constexpr size_t kFlowTargetsOffset = kFlowServicesOffset + kMaxServices * sizeof(FlowServiceWords);
inline constexpr size_t kFlowTargetsEnd = kFlowTargetsOffset + kTargetSlots * sizeof(FlowTargetWord);
static_assert(kFlowTargetsOffset % 64 == 0 && kFlowTargetsEnd <= kFlowAlignBytes);

struct FlowGeometry {
  uint32_t buckets = 0;
  size_t buckets_offset = 0;
  size_t cold_offset = 0;
  size_t region_bytes = 0;  // a multiple of 2 MiB: tables lie one after the other
};

// For `flows` flows (kMinFlows..kMaxFlows): twice as many slots. 1 Mi flows: 32 MiB of buckets, 80 MiB of keys
// (written as flows come) and 2 MiB of counters.
FlowGeometry flow_geometry(uint32_t flows);

// Whether a table that we understand lies at `memory`, which begins 64-byte aligned. Of a memory that is longer than
// the table only its beginning counts.
Result<FlowGeometry> check_flow_memory(std::span<const std::byte> memory);

// The created time is kept in the 24 bits of the key's reserved bytes: 194 days of seconds.
inline constexpr uint32_t kCreatedMask = 0xffffff;
FlowCold pack_cold(const FlowKey& key, uint32_t created_s);
uint32_t unpack_cold(const FlowCold& cold, FlowKey& key);  // returns created_s

}  // namespace xdplb
