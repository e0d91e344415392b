#include "user/lb/flow_table.h"

#include <algorithm>

namespace xdplb {
namespace {

constexpr uint64_t kNsPerSecond = 1'000'000'000;

uint64_t relaxed(const uint64_t& word) {
  return load_word(word, std::memory_order_relaxed);
}

}  // namespace

FlowTable::FlowTable(std::span<std::byte> memory, const FlowGeometry& geometry, const FlowReader& reader)
    : header_(reinterpret_cast<FlowTableHeader*>(memory.data())),
      services_(reinterpret_cast<FlowServiceWords*>(memory.data() + kFlowServicesOffset)),
      targets_(reinterpret_cast<FlowTargetWord*>(memory.data() + kFlowTargetsOffset)),
      buckets_(reinterpret_cast<FlowBucket*>(memory.data() + geometry.buckets_offset)),
      cold_(reinterpret_cast<FlowCold*>(memory.data() + geometry.cold_offset)),
      buckets_n_(geometry.buckets),
      hash_(reader.secret()),
      reader_(reader) {}

// Here, so that it is not trivial: g++ says of each Result of a trivial type with this alignment that it is passed in
// another way than g++ 4.5 did.
FlowTable::FlowTable(FlowTable&&) noexcept = default;

Result<FlowTable> FlowTable::create(std::span<std::byte> memory, uint32_t flows, uint64_t secret) {
  if (flows < kMinFlows || flows > kMaxFlows) {
    return fail("flow table: {} flows, not {} to {}", flows, kMinFlows, kMaxFlows);
  }
  const FlowGeometry g = flow_geometry(flows);
  if (memory.size() < g.region_bytes) {
    return fail("flow table: {} flows take {} bytes, not {}", flows, g.region_bytes, memory.size());
  }
  auto& header = *reinterpret_cast<FlowTableHeader*>(memory.data());
  header.version = kFlowLayoutVersion;
  header.header_bytes = sizeof header;
  header.region_bytes = g.region_bytes;
  header.secret = secret;
  header.buckets = g.buckets;
  header.flows = flows;
  header.buckets_offset = g.buckets_offset;
  header.cold_offset = g.cold_offset;
  // release: partner is the acquire in check_flow_memory.
  store_word(header.magic, kFlowMagic, std::memory_order_release);
  const Result<FlowReader> reader = FlowReader::open(memory);
  if (!reader) return reader.error();
  return FlowTable(memory, g, *reader);
}

bool FlowTable::touch(const FlowHit& hit, uint8_t tcp_flags, const FlowPolicy& policy, uint64_t now_ns) {
  FlowBucket& bucket = bucket_of(hit.slot);
  uint64_t& life_word = bucket.life[hit.slot % kBucketWays];
  const uint64_t life = relaxed(life_word);
  const FlowState before = state_of(life);
  if (relaxed(bucket.place[hit.slot % kBucketWays]) != hit.place || before == FlowState::none) return false;
  count_hits(1);
  const FlowState after = next_state(before, tcp_flags);
  const Tick deadline = to_tick(now_ns) + policy.timeouts.of(after);
  // relaxed: the entry is the same flow's as before, so readers may see either.
  store_word(life_word, pack_life(tag_of(hit.place, life), service_of(life), after, deadline),
             std::memory_order_relaxed);
  if (before == FlowState::embryonic && after != before) {
    uint64_t& counts = services_[service_of(life)].counts;
    store_word(counts, relaxed(counts) - 1, std::memory_order_relaxed);
  }
  return true;
}

FlowEntry FlowTable::enter(uint64_t hash, const FlowKey& key, uint8_t tcp_flags, FlowOwner owner,
                           const FlowPolicy& policy, uint64_t now_ns) {
  XDPLB_DCHECK(owner.service < kMaxServices);
  const Tick now = to_tick(now_ns);
  const FlowState state = first_state(key.protocol, tcp_flags);
  if (state == FlowState::none) return {FlowOutcome::not_tracked, {}};
  // Two first packets of a flow in one batch have both missed.
  if (const FlowHit there = find(hash, now_ns)) return {FlowOutcome::existed, there};

  const uint64_t counts = relaxed(services_[owner.service].counts);
  if (counts >> 32 >= policy.flows_max) {
    add(FlowCounter::refused_quota, 1);
    return {FlowOutcome::refused_quota, {}};
  }
  if (state == FlowState::embryonic && static_cast<uint32_t>(counts) >= policy.embryonic_max) {
    add(FlowCounter::refused_embryonic, 1);
    return {FlowOutcome::refused_embryonic, {}};
  }
  const uint32_t slot = find_room(hash, now);
  if (slot == kNoSlot) {
    add(FlowCounter::refused_full, 1);
    return {FlowOutcome::refused_full, {}};
  }
  const FlowTag tag(hash);
  const uint64_t place = pack_place(tag, owner.target);
  const uint64_t life = pack_life(tag, owner.service, state, now + policy.timeouts.of(state));
  write(slot, place, life, pack_cold(key, static_cast<uint32_t>(now_ns / kNsPerSecond)));
  count_flow(owner.service, owner.target, state);
  add(FlowCounter::created, 1);
  return {FlowOutcome::entered,
          {.slot = slot, .service = owner.service, .state = state, .place = place, .life = life}};
}

// Near if possible, because that is where look-ups begin; then far; then by moving another flow from its near to its
// far bucket. The last happens to one flow in 300 at the nominal load, and makes the difference between one in 300
// and none that finds no room.
uint32_t FlowTable::find_room(uint64_t hash, Tick now) {
  const uint32_t near = near_bucket(hash, buckets_n_);
  const uint32_t far = far_bucket(hash, buckets_n_);
  uint32_t slot = free_slot_in(near, now);
  if (slot == kNoSlot) slot = free_slot_in(far, now);
  if (slot == kNoSlot) slot = make_room_in(near, now);
  if (slot == kNoSlot) slot = make_room_in(far, now);
  return slot;
}

uint32_t FlowTable::free_slot_in(uint32_t bucket, Tick now) {
  reclaim(bucket, now);
  for (uint32_t way = 0; way < kBucketWays; ++way) {
    if (state_of(relaxed(buckets_[bucket].life[way])) == FlowState::none) return bucket * kBucketWays + way;
  }
  return kNoSlot;
}

// Readers look into the near bucket first. So a flow that moves from near to far, and is written there before it is
// cleared here, is seen by everyone at any time; the other way round it could be missed.
uint32_t FlowTable::make_room_in(uint32_t bucket, Tick now) {
  for (uint32_t way = 0; way < kBucketWays; ++way) {
    uint64_t& life_word = buckets_[bucket].life[way];
    const uint64_t life = relaxed(life_word);
    const uint64_t place = relaxed(buckets_[bucket].place[way]);
    const uint32_t slot = bucket * kBucketWays + way;
    const uint32_t to = free_slot_in(other_bucket(bucket, tag_of(place, life), buckets_n_), now);
    if (to == kNoSlot) continue;
    FlowKey key;
    unpack_cold(cold_[slot], key);
    if (near_bucket(hash(key), buckets_n_) != bucket) continue;
    write(to, place, life, cold_[slot]);
    // relaxed: as in free_slot. The flow stays counted.
    store_word(life_word, 0, std::memory_order_relaxed);
    return slot;
  }
  return kNoSlot;
}

void FlowTable::reclaim(uint32_t bucket, Tick now) {
  for (uint32_t way = 0; way < kBucketWays; ++way) {
    const uint64_t life = relaxed(buckets_[bucket].life[way]);
    if (state_of(life) != FlowState::none && !is_live(life, now)) {
      free_slot(bucket * kBucketWays + way, life, FlowCounter::expired);
    }
  }
}

void FlowTable::write(uint32_t slot, uint64_t place, uint64_t life, const FlowCold& cold) {
  for (size_t i = 0; i < cold.words.size(); ++i) {
    // relaxed: published by the release of `life`; a reader of the slot's former flow sees by the hash that they
    // changed.
    store_word(cold_[slot].words[i], cold.words[i], std::memory_order_relaxed);
  }
  FlowBucket& bucket = buckets_[slot / kBucketWays];
  XDPLB_DCHECK(relaxed(bucket.life[slot % kBucketWays]) == 0);
  // release: partners are the acquires in find_in_bucket and FlowReader::read. Whoever sees this `place` sees `life`
  // at zero or later; whoever sees this `life` sees this `place`.
  store_word(bucket.place[slot % kBucketWays], place, std::memory_order_release);
  store_word(bucket.life[slot % kBucketWays], life, std::memory_order_release);
}

void FlowTable::free_slot(uint32_t slot, uint64_t life, FlowCounter why) {
  FlowBucket& bucket = buckets_[slot / kBucketWays];
  const FlowTarget target = target_of(relaxed(bucket.place[slot % kBucketWays]));
  // relaxed: a reader that still sees the flow is right, it was there a moment ago. The next `place` is a release.
  store_word(bucket.life[slot % kBucketWays], 0, std::memory_order_relaxed);
  uncount_flow(service_of(life), target, state_of(life));
  add(why, 1);
}

bool FlowTable::remove_if(uint32_t slot, uint64_t place) {
  if (slot >= buckets_n_ * kBucketWays) return false;
  const FlowBucket& bucket = buckets_[slot / kBucketWays];
  const uint64_t life = relaxed(bucket.life[slot % kBucketWays]);
  if (state_of(life) == FlowState::none || relaxed(bucket.place[slot % kBucketWays]) != place) return false;
  free_slot(slot, life, FlowCounter::removed);
  return true;
}

void FlowTable::remove(const FlowHit& hit) {
  remove_if(hit.slot, hit.place);
}

uint32_t FlowTable::flush(std::span<const FlowHandle> flows) {
  uint32_t removed = 0;
  for (const FlowHandle& flow : flows) removed += remove_if(flow.slot, flow.place);
  return removed;
}

void FlowTable::sweep(uint32_t buckets, uint64_t now_ns) {
  for (uint32_t i = 0; i < std::min(buckets, buckets_n_); ++i) {
    reclaim(sweep_next_, to_tick(now_ns));
    if (++sweep_next_ == buckets_n_) sweep_next_ = 0;
  }
  prefetch(sweep_next_ * kBucketWords);  // a cache miss that is over by the next call
}

void FlowTable::name_service(uint16_t service, uint64_t identity) {
  XDPLB_CHECK(service < kMaxServices);
  store_word(services_[service].identity, identity, std::memory_order_relaxed);
}

// relaxed, here and below: the counts are written by the owner alone and each word stands for itself.
void FlowTable::count_flow(uint16_t service, FlowTarget target, FlowState state) {
  uint64_t& counts = services_[service].counts;
  const uint64_t more = (uint64_t{1} << 32) + (state == FlowState::embryonic ? 1 : 0);
  store_word(counts, relaxed(counts) + more, std::memory_order_relaxed);
  // The first flow of a later epoch starts the count again: the earlier ones' target is gone.
  uint64_t& word = targets_[target.id];
  const uint64_t before = relaxed(word);
  const uint64_t count = before >> 32 == target.epoch ? before + 1 : uint64_t{target.epoch} << 32 | 1;
  store_word(word, count, std::memory_order_relaxed);
  add(FlowCounter::live, 1);
  const uint64_t live = relaxed(header_->counters[static_cast<size_t>(FlowCounter::live)]);
  uint64_t& high_water = header_->counters[static_cast<size_t>(FlowCounter::high_water)];
  if (live > relaxed(high_water)) store_word(high_water, live, std::memory_order_relaxed);
}

void FlowTable::uncount_flow(uint16_t service, FlowTarget target, FlowState state) {
  uint64_t& counts = services_[service].counts;
  const uint64_t less = (uint64_t{1} << 32) + (state == FlowState::embryonic ? 1 : 0);
  store_word(counts, relaxed(counts) - less, std::memory_order_relaxed);
  uint64_t& word = targets_[target.id];
  const uint64_t before = relaxed(word);
  if (before >> 32 == target.epoch) store_word(word, before - 1, std::memory_order_relaxed);
  add(FlowCounter::live, ~uint64_t{0});
}

}  // namespace xdplb
