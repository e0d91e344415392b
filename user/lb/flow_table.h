// FlowTable: which target each flow has; the owner's side. One per worker.
//
// Owner: one worker, and only its thread may call anything here. Everybody else looks through FlowReader.
// Memory: handed in, fixed, plain data (flow_layout.h), so that the next daemon adopts it with every flow in it.
// Invariants: a live flow is never evicted; a flow has at most one live entry; the counts of targets and services are
// those of the occupied slots.
// Sizing: flow_geometry.h. With the number of flows it is made for, half of its slots are used: 96 of 100 flows lie
// in their near bucket, so that a hit reads one cache line, and less than one in a million finds no room; even at
// three quarters it is one in eight thousand (user/lb/README.md).
//
// A batch goes through in three passes, each the prefetch distance of the next:
//   1. hash, near_entry, prefetch
//   2. seek; where it finds nothing, prefetch_far
//   3. renew what 2 found, if it is the flow and stays in its state; else find, then touch a hit, or enter a new flow
#pragma once

#include <emmintrin.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <span>

#include "user/base/lines.h"
#include "user/lb/flow_geometry.h"
#include "user/lb/flow_reader.h"

namespace xdplb {

enum class FlowOutcome : uint8_t {
  entered,
  existed,       // another packet of the batch was first: `hit` is what it entered
  not_tracked,   // a packet that begins no flow (first_state)
  refused_full,  // these three: the choice rests on Maglev alone
  refused_quota,
  refused_embryonic,
};

struct FlowEntry {
  FlowOutcome outcome;
  FlowHit hit;  // entered, existed
};

// What a flow in adopted memory belongs to, and to whom it belongs from now on.
struct FlowOwner {
  FlowTarget target;
  uint16_t service = 0;
};
// Nothing: forget the flow.
using FlowMapping = std::function<std::optional<FlowOwner>(FlowOwner)>;

struct FlowAdoption {
  uint64_t kept = 0;
  uint64_t expired = 0;
  uint64_t unwanted = 0;  // by the mapping
  uint64_t invalid = 0;   // contents that no table of ours can have
};

class alignas(kLineBytes) FlowTable {
 public:
  // A new table in memory of at least flow_geometry(flows).region_bytes that reads as zeros, 64-byte aligned.
  static Result<FlowTable> create(std::span<std::byte> memory, uint32_t flows, uint64_t secret);

  // The table that a former owner left, however it ended. Checks every entry and counts anew: some 100 ms for 1 Mi
  // flows. The identities of services are forgotten: read them before, name them again after.
  static Result<FlowTable> adopt(std::span<std::byte> memory, uint64_t now_ns, const FlowMapping& mapping,
                                 FlowAdoption& report);

  FlowTable(FlowTable&&) noexcept;
  FlowTable& operator=(FlowTable&&) = default;
  FlowTable(const FlowTable&) = delete;  // two owners of one memory
  FlowTable& operator=(const FlowTable&) = delete;

  [[nodiscard]] const FlowReader& reader() const { return reader_; }
  [[nodiscard]] uint64_t hash(const FlowKey& key) const { return hash_(key); }

  // The first entry of the near bucket.
  [[nodiscard]] uint32_t near_entry(uint64_t hash) const { return near_bucket(hash, buckets_n_) * kBucketWords; }
  // So few flows that their lines stay in the second-level cache: to ask for them beforehand costs more than it saves
  // (tests/bench/README.md).
  [[nodiscard]] bool stays_cached() const { return reader_.counter(FlowCounter::live) <= kCachedFlows; }
  // Into the second-level cache: the first one is full of the batch by the time that the line is looked at.
  // always_inline, both: g++ 12 takes a function that only prefetches for one without effect, and drops the call.
  [[gnu::always_inline]] void prefetch(uint32_t entry) const { __builtin_prefetch(words() + entry, 0, 2); }
  [[gnu::always_inline]] void prefetch_far(uint64_t hash) const {
    __builtin_prefetch(buckets_ + far_bucket(hash, buckets_n_), 0, 2);
  }

  // The entry of the bucket that begins with `first` whose tag looks like the hash's, or kNoEntry. All that is known
  // of it is 32 bits.
  [[nodiscard]] uint32_t seek(uint32_t first, uint64_t hash) const;
  // relaxed: nothing changes while the owner looks.
  [[nodiscard]] FlowWords words_of(uint32_t entry) const {
    const uint64_t* const place = words() + entry;
    return {load_word(place[0], std::memory_order_relaxed), load_word(place[kBucketWays], std::memory_order_relaxed)};
  }
  // A packet that leaves its flow in its state has come for this entry. Hits are counted for a batch at once.
  void renew(uint32_t entry, FlowWords flow, const FlowTimeouts& timeouts, Tick now);
  void count_hits(uint64_t n) { add(FlowCounter::hits, n); }
  // In either bucket, wherever it lies.
  [[nodiscard]] FlowHit find(uint64_t hash, uint64_t now_ns) const {
    const FlowHit hit = find_own(near_bucket(hash, buckets_n_), hash, to_tick(now_ns));
    return hit ? hit : find_own(far_bucket(hash, buckets_n_), hash, to_tick(now_ns));
  }

  // A packet of a flow that was found: renews it and moves its state. False, and nothing done, if the entry is no
  // longer the hit's: an earlier packet of the batch removed or moved it.
  bool touch(const FlowHit& hit, uint8_t tcp_flags, const FlowPolicy& policy, uint64_t now_ns);

  // A flow that was not found, or that was removed just now.
  FlowEntry enter(uint64_t hash, const FlowKey& key, uint8_t tcp_flags, FlowOwner owner, const FlowPolicy& policy,
                  uint64_t now_ns);

  // Takes over a live flow of another table, its state and its times as they are. Quotas do not count: nothing live
  // is given up for them. Only after create, before anybody else looks.
  FlowOutcome restore(const FlowRecord& flow, FlowOwner owner, uint64_t now_ns);

  // Forgets a flow whose target is to be chosen anew (its epoch is stale, or starts_anew). No effect if the entry is
  // no longer the hit's.
  void remove(const FlowHit& hit);

  // Forgets those of `flows` that are still there (`xdplb flows flush`); returns how many. A bounded number at a
  // time.
  uint32_t flush(std::span<const FlowHandle> flows);

  // Reclaims what has expired in the next `buckets`, going round. Called each turn with a few: look-ups never see an
  // expired flow, but its room counts against quotas and targets until it is reclaimed.
  void sweep(uint32_t buckets, uint64_t now_ns);

  // Says whose flows those of `service` are, for the next daemon.
  void name_service(uint16_t service, uint64_t identity);

 private:
  static constexpr uint64_t kCachedFlows = 4096;  // a line each: 256 KiB

  FlowTable(std::span<std::byte> memory, const FlowGeometry& geometry, const FlowReader& reader);

  [[nodiscard]] FlowHit find_own(uint32_t index, uint64_t hash, Tick now) const;
  [[nodiscard]] FlowBucket& bucket_of(uint32_t slot) const { return buckets_[slot / kBucketWays]; }
  [[nodiscard]] uint64_t* words() const { return reinterpret_cast<uint64_t*>(buckets_); }
  void write(uint32_t slot, uint64_t place, uint64_t life, const FlowCold& cold);
  void free_slot(uint32_t slot, uint64_t life, FlowCounter why);
  void reclaim(uint32_t bucket, Tick now);
  uint32_t free_slot_in(uint32_t bucket, Tick now);  // these three: kNoSlot if there is none
  uint32_t make_room_in(uint32_t bucket, Tick now);
  uint32_t find_room(uint64_t hash, Tick now);
  bool remove_if(uint32_t slot, uint64_t place);
  void count_flow(uint16_t service, FlowTarget target, FlowState state);
  void uncount_flow(uint16_t service, FlowTarget target, FlowState state);
  void clear_counts();
  void adopt_slot(uint32_t slot, uint64_t now_ns, const FlowMapping& mapping, FlowAdoption& report);
  // relaxed: only the owner writes counters, and nothing is read on the strength of one.
  void add(FlowCounter counter, uint64_t n) {
    uint64_t& word = header_->counters[static_cast<size_t>(counter)];
    store_word(word, load_word(word, std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }

  FlowTableHeader* header_;
  FlowServiceWords* services_;
  FlowTargetWord* targets_;
  FlowBucket* buckets_;
  FlowCold* cold_;
  uint32_t buckets_n_;
  uint32_t sweep_next_ = 0;
  FlowHash hash_;
  FlowReader reader_;
};

// All four at once: which of them matches is random, and a mispredicted branch costs more than the other three
// comparisons. Plain loads: nothing changes while the owner looks. A second match, which one look-up in 2^31 meets,
// is not looked for here.
inline uint32_t FlowTable::seek(uint32_t first, uint64_t hash) const {
  static_assert(kBucketWays == 4 && sizeof(FlowBucket::place) == 2 * sizeof(__m128i));
  const auto* const place = reinterpret_cast<const float*>(words() + first);
  const __m128i tags = _mm_castps_si128(_mm_shuffle_ps(_mm_load_ps(place), _mm_load_ps(place + 4), 0b11'01'11'01));
  const __m128i wanted = _mm_set1_epi32(static_cast<int>(FlowTag(hash).low));
  const auto matches = static_cast<uint32_t>(_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(tags, wanted))));
  return matches == 0 ? kNoEntry : first + static_cast<uint32_t>(std::countr_zero(matches));
}

inline FlowHit FlowTable::find_own(uint32_t index, uint64_t hash, Tick now) const {
  for (uint32_t way = 0; way < kBucketWays; ++way) {
    const uint32_t entry = index * kBucketWords + way;
    const FlowWords flow = words_of(entry);
    if (!flow.has_tag(FlowTag(hash)) || !is_live(flow.life, now)) continue;
    return {.slot = slot_of(entry),
            .service = service_of(flow.life),
            .state = flow.state(),
            .place = flow.place,
            .life = flow.life};
  }
  return {};
}

inline void FlowTable::renew(uint32_t entry, FlowWords flow, const FlowTimeouts& timeouts, Tick now) {
  const Tick deadline = now + timeouts.of(flow.state());
  // Also where nothing changes: whether a tick has gone by since the flow's last packet is a guess that the core gets
  // wrong too often (2.4 ns a packet with 100,000 flows).
  // relaxed: the entry is the same flow's as before, so readers may see either.
  store_word(words()[entry + kBucketWays], with_deadline(flow.life, deadline), std::memory_order_relaxed);
}

}  // namespace xdplb
