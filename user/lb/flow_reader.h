// FlowReader: the look at a flow table of those who do not own it: other workers, the control thread, `xdplb flows`.
//
// Any thread or process, at any time, without the owner noticing: it only loads. A value, copied freely; the memory
// must outlive it. What it says was true at some moment during the call.
#pragma once

#include <bit>
#include <cstddef>
#include <optional>
#include <span>

#include "user/base/result.h"
#include "user/lb/flow_hash.h"
#include "user/lb/flow_layout.h"

namespace xdplb {

inline constexpr uint32_t kNoSlot = ~uint32_t{0};

// A live flow that was found, and where. A snapshot: the owner looks again before it changes the entry, since an
// earlier packet of the same batch may have changed it.
struct FlowHit {
  uint32_t slot = kNoSlot;
  uint16_t service = 0;
  FlowState state = FlowState::none;
  uint64_t place = 0;
  uint64_t life = 0;  // as found

  explicit operator bool() const { return slot != kNoSlot; }
  [[nodiscard]] FlowTarget target() const { return target_of(place); }
};

// Names one use of a slot: what to flush.
struct FlowHandle {
  uint32_t slot = kNoSlot;
  uint64_t place = 0;
};

// A live flow in full.
struct FlowRecord {
  FlowHandle handle;
  FlowKey key;
  FlowTarget target;
  uint16_t service = 0;
  FlowState state = FlowState::none;
  uint64_t expires_in_ns = 0;  // unless a packet comes
  uint64_t age_ns = 0;         // since it was entered, to the second
};

// The live flow of that tag in the bucket numbered `index`, if it is there. Inlined into the packet path.
//
// All four entries are compared before any branch: which of them matches is random, and a mispredicted branch costs
// more than the other three comparisons.
inline FlowHit find_in_bucket(const FlowBucket* buckets, uint32_t index, FlowTag tag, Tick now) {
  static_assert(kBucketWays == 4);
  const FlowBucket& bucket = buckets[index];
  // relaxed: only says where to look.
  auto match = [&](uint32_t way) {
    return static_cast<uint32_t>(load_word(bucket.place[way], std::memory_order_relaxed) >> 32 == tag.low) << way;
  };
  for (uint32_t matches = match(0) | match(1) | match(2) | match(3); matches != 0; matches &= matches - 1) {
    const auto way = static_cast<uint32_t>(std::countr_zero(matches));
    // acquire: partner is the release of `place` in FlowTable::write. A `life` read after it is no older than it.
    const uint64_t place = load_word(bucket.place[way], std::memory_order_acquire);
    // acquire: partner is the release of `life` in FlowTable::write. The `place` read after it is no older than it,
    // so if that is still the same, `life` is its own.
    const uint64_t life = load_word(bucket.life[way], std::memory_order_acquire);
    const uint64_t again = load_word(bucket.place[way], std::memory_order_relaxed);
    if (place >> 32 == tag.low && (life & 0xffff) == tag.high && is_live(life, now) && again == place) {
      return {.slot = index * kBucketWays + way,
              .service = service_of(life),
              .state = state_of(life),
              .place = place,
              .life = life};
    }
  }
  return {};
}

class FlowReader {
 public:
  // Error where the memory does not hold a table of our layout: "flow table: version 3, not 2".
  static Result<FlowReader> open(std::span<const std::byte> memory);

  [[nodiscard]] uint64_t secret() const { return header_->secret; }
  [[nodiscard]] uint32_t flows() const { return header_->flows; }
  [[nodiscard]] uint32_t slots() const { return buckets_n_ * kBucketWays; }
  [[nodiscard]] uint64_t hash(const FlowKey& key) const { return hash_(key); }

  void prefetch(uint64_t hash) const {
    __builtin_prefetch(buckets_ + near_bucket(hash, buckets_n_));
    __builtin_prefetch(buckets_ + far_bucket(hash, buckets_n_));
  }
  [[nodiscard]] FlowHit find(uint64_t hash, uint64_t now_ns) const {
    const FlowTag tag(hash);
    const Tick now = to_tick(now_ns);
    const FlowHit hit = find_in_bucket(buckets_, near_bucket(hash, buckets_n_), tag, now);
    return hit ? hit : find_in_bucket(buckets_, far_bucket(hash, buckets_n_), tag, now);
  }

  // The live flow in a slot (0 .. slots() - 1); nothing where there is none, or where it changed while we looked.
  [[nodiscard]] std::optional<FlowRecord> read(uint32_t slot, uint64_t now_ns) const;

  [[nodiscard]] uint64_t counter(FlowCounter counter) const;
  // Flows that hold room now. Those whose time is up count until they are reclaimed.
  [[nodiscard]] uint32_t live_of_service(uint16_t service) const;
  [[nodiscard]] uint32_t embryonic_of_service(uint16_t service) const;
  [[nodiscard]] uint64_t identity_of_service(uint16_t service) const;
  [[nodiscard]] uint32_t live_of_target(FlowTarget target) const;

 private:
  FlowReader() = default;

  const FlowTableHeader* header_ = nullptr;
  const FlowServiceWords* services_ = nullptr;
  const FlowTargetWord* targets_ = nullptr;
  const FlowBucket* buckets_ = nullptr;
  const FlowCold* cold_ = nullptr;
  uint32_t buckets_n_ = 0;
  FlowHash hash_{0};
};

}  // namespace xdplb
