#include "user/lb/flow_geometry.h"

#include <bit>
#include <cstring>

namespace xdplb {
namespace {

constexpr size_t round_up(size_t bytes) {
  return (bytes + kFlowAlignBytes - 1) / kFlowAlignBytes * kFlowAlignBytes;
}

}  // namespace

FlowGeometry flow_geometry(uint32_t flows) {
  XDPLB_CHECK(flows >= kMinFlows && flows <= kMaxFlows);
  const uint32_t buckets = (flows * 2 + kBucketWays - 1) / kBucketWays;
  FlowGeometry g{.buckets = buckets, .buckets_offset = kFlowAlignBytes, .cold_offset = 0, .region_bytes = 0};
  g.cold_offset = g.buckets_offset + size_t{buckets} * sizeof(FlowBucket);
  g.region_bytes = round_up(g.cold_offset + size_t{buckets} * kBucketWays * sizeof(FlowCold));
  return g;
}

Result<FlowGeometry> check_flow_memory(std::span<const std::byte> memory) {
  if (memory.size() < kFlowAlignBytes || reinterpret_cast<uintptr_t>(memory.data()) % alignof(FlowBucket) != 0) {
    return fail("flow table: {} bytes are too few, or not aligned", memory.size());
  }
  const auto& header = *reinterpret_cast<const FlowTableHeader*>(memory.data());
  // acquire: partner is the release in FlowTable::create, after everything else of the header.
  const uint64_t magic = load_word(header.magic, std::memory_order_acquire);
  if (magic != kFlowMagic) return fail("flow table: not one (magic {:016x})", magic);
  if (header.version != kFlowLayoutVersion) {
    return fail("flow table: version {}, not {}", header.version, kFlowLayoutVersion);
  }
  if (header.flows < kMinFlows || header.flows > kMaxFlows) return fail("flow table: size {}", header.flows);
  const FlowGeometry g = flow_geometry(header.flows);
  if (header.header_bytes != sizeof header || header.buckets != g.buckets ||
      header.buckets_offset != g.buckets_offset || header.cold_offset != g.cold_offset ||
      header.region_bytes != g.region_bytes) {
    return fail("flow table: the header contradicts itself ({} flows, {} buckets)", header.flows, header.buckets);
  }
  if (memory.size() < g.region_bytes) {
    return fail("flow table: cut off after {} of {} bytes", memory.size(), g.region_bytes);
  }
  return g;
}

FlowCold pack_cold(const FlowKey& key, uint32_t created_s) {
  FlowKey copy = key;
  copy.reserved[0] = static_cast<uint8_t>(created_s);
  copy.reserved[1] = static_cast<uint8_t>(created_s >> 8);
  copy.reserved[2] = static_cast<uint8_t>(created_s >> 16);
  return {.words = std::bit_cast<std::array<uint64_t, 5>>(copy)};
}

uint32_t unpack_cold(const FlowCold& cold, FlowKey& key) {
  key = std::bit_cast<FlowKey>(cold.words);
  const uint32_t created_s =
      key.reserved[0] | static_cast<uint32_t>(key.reserved[1]) << 8 | static_cast<uint32_t>(key.reserved[2]) << 16;
  std::memset(key.reserved, 0, sizeof key.reserved);
  return created_s;
}

}  // namespace xdplb
