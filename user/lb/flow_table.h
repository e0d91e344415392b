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
//   1. hash, prefetch_near
//   2. find_near; where it misses, prefetch_far
//   3. find_far where 2 missed; then touch a hit, or enter a new flow
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <vector>

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

class FlowTable {
 public:
  // A new table in memory of at least flow_geometry(flows).region_bytes that reads as zeros, 64-byte aligned.
  static Result<FlowTable> create(std::span<std::byte> memory, uint32_t flows, uint64_t secret);

  // The table that a former owner left, however it ended. Checks every entry and counts anew: some 100 ms for 1 Mi
  // flows. The identities of services are forgotten: read them before, name them again after. Looks only at the parts
  // that were ever `written`, in their order.
  static Result<FlowTable> adopt(std::span<std::byte> memory, std::span<const ByteRange> written, uint64_t now_ns,
                                 const FlowMapping& mapping, FlowAdoption& report);

  FlowTable(FlowTable&&) = default;
  FlowTable& operator=(FlowTable&&) = default;
  FlowTable(const FlowTable&) = delete;  // two owners of one memory
  FlowTable& operator=(const FlowTable&) = delete;

  [[nodiscard]] const FlowReader& reader() const { return reader_; }
  [[nodiscard]] uint64_t hash(const FlowKey& key) const { return hash_(key); }

  void prefetch_near(uint64_t hash) const { __builtin_prefetch(buckets_ + near_bucket(hash, buckets_n_)); }
  void prefetch_far(uint64_t hash) const { __builtin_prefetch(buckets_ + far_bucket(hash, buckets_n_)); }
  [[nodiscard]] FlowHit find_near(uint64_t hash, uint64_t now_ns) const {
    return find_own(near_bucket(hash, buckets_n_), FlowTag(hash), to_tick(now_ns));
  }
  [[nodiscard]] FlowHit find_far(uint64_t hash, uint64_t now_ns) const {
    return find_own(far_bucket(hash, buckets_n_), FlowTag(hash), to_tick(now_ns));
  }
  [[nodiscard]] FlowHit find(uint64_t hash, uint64_t now_ns) const {
    const FlowHit hit = find_near(hash, now_ns);
    return hit ? hit : find_far(hash, now_ns);
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
  // expired flow, but its room counts against quotas and targets until it is reclaimed. Pages that never had a flow
  // are passed over, so that an idle table stays as sparse as it is.
  void sweep(uint32_t buckets, uint64_t now_ns);

  // Says whose flows those of `service` are, for the next daemon.
  void name_service(uint16_t service, uint64_t identity);

 private:
  FlowTable(std::span<std::byte> memory, const FlowGeometry& geometry, const FlowReader& reader);

  [[nodiscard]] FlowHit find_own(uint32_t index, FlowTag tag, Tick now) const;
  void write(uint32_t slot, uint64_t place, uint64_t life, const FlowCold& cold);
  void free_slot(uint32_t slot, uint64_t life, FlowCounter why);
  void reclaim(uint32_t bucket, Tick now);
  uint32_t free_slot_in(uint32_t bucket, Tick now);  // these three: kNoSlot if there is none
  uint32_t make_room_in(uint32_t bucket, Tick now);
  uint32_t find_room(uint64_t hash, Tick now);
  bool remove_if(uint32_t slot, uint64_t place);
  void count_flow(uint16_t service, FlowTarget target, FlowState state);
  void uncount_flow(uint16_t service, FlowTarget target, FlowState state);
  void clear_counts(std::span<const ByteRange> written);
  void adopt_slot(uint32_t slot, uint64_t now_ns, const FlowMapping& mapping, FlowAdoption& report);
  [[nodiscard]] bool had_flows(uint32_t page) const { return (pages_[page / 64] >> page % 64 & 1) != 0; }
  void note_flow(uint32_t page) { pages_[page / 64] |= uint64_t{1} << page % 64; }
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
  std::vector<uint64_t> pages_;  // a bit for each page of buckets: whether this owner knew a flow there
  FlowHash hash_;
  FlowReader reader_;
};

// As find_in_bucket, for the owner: nothing changes while it looks, so every load is relaxed and no second look
// taken.
inline FlowHit FlowTable::find_own(uint32_t index, FlowTag tag, Tick now) const {
  static_assert(kBucketWays == 4);
  const FlowBucket& bucket = buckets_[index];
  const auto place = [&](uint32_t way) { return load_word(bucket.place[way], std::memory_order_relaxed); };
  const auto match = [&](uint32_t way) { return static_cast<uint32_t>(place(way) >> 32 == tag.low) << way; };
  for (uint32_t matches = match(0) | match(1) | match(2) | match(3); matches != 0; matches &= matches - 1) {
    const auto way = static_cast<uint32_t>(std::countr_zero(matches));
    const uint64_t life = load_word(bucket.life[way], std::memory_order_relaxed);
    if ((life & 0xffff) != tag.high || !is_live(life, now)) continue;
    return {
        .slot = index * kBucketWays + way, .service = service_of(life), .state = state_of(life), .place = place(way)};
  }
  return {};
}

inline bool FlowTable::touch(const FlowHit& hit, uint8_t tcp_flags, const FlowPolicy& policy, uint64_t now_ns) {
  FlowBucket& bucket = buckets_[hit.slot / kBucketWays];
  uint64_t& word = bucket.life[hit.slot % kBucketWays];
  const uint64_t life = load_word(word, std::memory_order_relaxed);
  const uint64_t place = load_word(bucket.place[hit.slot % kBucketWays], std::memory_order_relaxed);
  const FlowState before = state_of(life);
  if (place != hit.place || before == FlowState::none) return false;
  add(FlowCounter::hits, 1);
  const FlowState after = next_state(before, tcp_flags);
  const Tick deadline = to_tick(now_ns) + policy.timeouts.of(after);
  const uint64_t renewed = (life & 0xfff8ffff) | static_cast<uint64_t>(after) << 16 | uint64_t{deadline} << 32;
  if (renewed == life) return true;  // most packets of a busy flow: the line stays clean
  // relaxed: the entry is the same flow's as before, so readers may see either.
  store_word(word, renewed, std::memory_order_relaxed);
  if (before == FlowState::embryonic && after != before) {
    uint64_t& counts = services_[service_of(life)].counts;
    store_word(counts, load_word(counts, std::memory_order_relaxed) - 1, std::memory_order_relaxed);
  }
  return true;
}

}  // namespace xdplb
