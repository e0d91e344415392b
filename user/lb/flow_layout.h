// The memory of a flow table: plain data, versioned, read by threads and processes that do not own it.
//
//   FlowTableHeader | FlowServiceWords[kMaxServices] | target words[65536] | pad | FlowBucket[n] | FlowCold[4 n]
//
// Buckets begin at a multiple of 2 MiB so that they can lie on huge pages. An entry is 16 bytes in a bucket of one
// cache line (hot: each packet) and 40 bytes elsewhere (cold: written once, when the flow is entered). Everything
// that readers see is made of atomic 64-bit words; what ties the words of an entry together is said at FlowBucket.
//
// A change of anything here, or of FlowHash, is a new kFlowLayoutVersion: a daemon refuses to adopt what it does not
// know.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "user/base/limits.h"
#include "user/lb/flow_state.h"
#include "user/net/flow_key.h"

namespace xdplb {

inline constexpr uint64_t kFlowMagic = 0x0073776f6c667078;  // "xpflows"
inline constexpr uint32_t kFlowLayoutVersion = 2;
inline constexpr uint32_t kBucketWays = 4;
inline constexpr uint32_t kTargetSlots = 1u << 16;
inline constexpr size_t kFlowAlignBytes = size_t{2} << 20;

// Which target a flow has. The id may be used again by another target: then under another epoch.
struct FlowTarget {
  uint16_t id = 0;
  uint16_t epoch = 0;
  friend bool operator==(const FlowTarget&, const FlowTarget&) = default;
};

// Counters of one table, in the order of FlowTableHeader::counters.
enum class FlowCounter : uint8_t {
  hits,
  created,
  expired,            // reclaimed after their timeout, by the sweeper or by a flow that needed the room
  removed,            // to be chosen anew, or flushed
  refused_full,       // both buckets full of live flows
  refused_quota,      // the service has its share of the table
  refused_embryonic,  // the service has its share of flows that are a SYN only
  live,
  high_water,
  kCount,
};
inline constexpr size_t kFlowCounters = static_cast<size_t>(FlowCounter::kCount);

struct alignas(64) FlowTableHeader {
  uint64_t magic = 0;  // written last (release), read first (acquire)
  uint32_t version = 0;
  uint32_t header_bytes = 0;
  uint64_t region_bytes = 0;
  uint64_t secret = 0;  // seed of the hash that places and tags
  uint32_t buckets = 0;
  uint32_t flows = 0;  // what the table was sized for
  uint64_t buckets_offset = 0;
  uint64_t cold_offset = 0;
  uint64_t reserved = 0;
  std::array<uint64_t, 16> counters{};
};
static_assert(sizeof(FlowTableHeader) == 192 && offsetof(FlowTableHeader, counters) == 64);
static_assert(kFlowCounters <= 16);

struct FlowServiceWords {
  uint64_t identity = 0;  // hash of the service's name, so that the next daemon knows whose flows these are
  uint64_t counts = 0;    // live << 32 | embryonic
};
static_assert(sizeof(FlowServiceWords) == 16);

// Live flows of a target: epoch << 32 | count. Flows of an earlier epoch are not counted.
using FlowTargetWord = uint64_t;

// Four entries, each a word of place and a word of life:
//   place = tag[31:0] << 32 | epoch << 16 | id
//   life  = deadline << 32 | service << 19 | state << 16 | tag[47:32]        state 0: free
// The owner writes life = 0, place, life in that order. A reader loads place, life and place again: where place is
// the same both times, life belongs to it (a later life would have come with a later place, an earlier one been
// cleared before this place). If meanwhile the slot changed hands and back, it is the same flow with the same target.
struct alignas(64) FlowBucket {
  std::array<uint64_t, kBucketWays> place{};
  std::array<uint64_t, kBucketWays> life{};
};
static_assert(sizeof(FlowBucket) == 64);

// The packet path names an entry by its place word, counted over the words of all buckets: from there to an address
// is nothing to compute. Everybody else counts slots, four to a bucket.
inline constexpr uint32_t kBucketWords = sizeof(FlowBucket) / sizeof(uint64_t);
inline constexpr uint32_t kNoEntry = ~uint32_t{0};
constexpr uint32_t slot_of(uint32_t entry) {
  return entry / kBucketWords * kBucketWays + entry % kBucketWords;
}

// The whole key, for listings and for moving a flow to another table, and the second of its creation in the key's
// three reserved bytes. A reader that caught it half-written notices that its hash does not give the entry's tag.
struct FlowCold {
  std::array<uint64_t, 5> words{};
};
static_assert(sizeof(FlowCold) == sizeof(FlowKey) && sizeof(FlowCold) == 40);

// What of a hash is kept. 48 bits, of which some three also choose the bucket: for a packet of an unknown flow to be
// taken for one of the up to eight that it is compared with has a chance of about 2^-43 (user/lb/README.md).
struct FlowTag {
  uint32_t low;
  uint32_t high;  // 16 bits

  explicit constexpr FlowTag(uint64_t hash)
      : low(static_cast<uint32_t>(hash)), high(static_cast<uint32_t>(hash >> 32) & 0xffff) {}
};

// A flow lies in one of two buckets: the near one if there was room, else the far one. Either follows from the other
// and the tag, so an entry can be moved without its hash.
inline uint32_t near_bucket(uint64_t hash, uint32_t buckets) {
  return reduce(hash, buckets);
}
inline uint32_t other_bucket(uint32_t bucket, FlowTag tag, uint32_t buckets) {
  const uint64_t bits = uint64_t{tag.high} << 32 | tag.low;
  const uint32_t sum = reduce(bits * 0x9e3779b97f4a7c15u, buckets);  // of the two, modulo their number
  return sum >= bucket ? sum - bucket : sum + buckets - bucket;
}
inline uint32_t far_bucket(uint64_t hash, uint32_t buckets) {
  return other_bucket(near_bucket(hash, buckets), FlowTag(hash), buckets);
}

constexpr uint64_t pack_place(FlowTag tag, FlowTarget target) {
  return uint64_t{tag.low} << 32 | uint64_t{target.epoch} << 16 | target.id;
}
constexpr FlowTag tag_of(uint64_t place, uint64_t life) {
  return FlowTag((life & 0xffff) << 32 | place >> 32);
}
constexpr FlowTarget target_of(uint64_t place) {
  return {.id = static_cast<uint16_t>(place), .epoch = static_cast<uint16_t>(place >> 16)};
}
constexpr uint64_t pack_life(FlowTag tag, uint16_t service, FlowState state, Tick deadline) {
  return uint64_t{deadline} << 32 | uint64_t{service} << 19 | static_cast<uint64_t>(state) << 16 | tag.high;
}
constexpr FlowState state_of(uint64_t life) {
  return static_cast<FlowState>((life >> 16) & 7);
}
constexpr uint16_t service_of(uint64_t life) {
  return static_cast<uint16_t>(static_cast<uint32_t>(life) >> 19);
}
constexpr Tick deadline_of(uint64_t life) {
  return static_cast<Tick>(life >> 32);
}
constexpr uint64_t with_deadline(uint64_t life, Tick deadline) {
  return static_cast<uint32_t>(life) | uint64_t{deadline} << 32;
}
constexpr bool is_live(uint64_t life, Tick now) {
  return state_of(life) != FlowState::none && is_before(now, deadline_of(life));
}

// An entry as it was read.
struct FlowWords {
  uint64_t place = 0;
  uint64_t life = 0;

  [[nodiscard]] bool has_tag(FlowTag tag) const { return place >> 32 == tag.low && (life & 0xffff) == tag.high; }
  [[nodiscard]] FlowTarget target() const { return target_of(place); }
  [[nodiscard]] FlowState state() const { return state_of(life); }
};
static_assert(kMaxServices == 1u << 13, "a service fits its 13 bits");
static_assert(kMaxTargets <= kTargetSlots);

// The words are shared with readers in other processes, some of whom map them read-only: a 64-bit atomic load never
// writes, which is what makes the cast sound.
inline uint64_t load_word(const uint64_t& word, std::memory_order order) {
  return std::atomic_ref<uint64_t>(const_cast<uint64_t&>(word)).load(order);
}
inline void store_word(uint64_t& word, uint64_t value, std::memory_order order) {
  std::atomic_ref<uint64_t>(word).store(value, order);
}
static_assert(std::atomic_ref<uint64_t>::is_always_lock_free);

}  // namespace xdplb
