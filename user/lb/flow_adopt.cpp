// FlowTable::adopt and restore: taking over what a former daemon left, perhaps in the middle of a write.
#include <algorithm>

#include "user/lb/flow_table.h"

namespace xdplb {

Result<FlowTable> FlowTable::adopt(std::span<std::byte> memory, uint64_t now_ns, const FlowMapping& mapping,
                                   FlowAdoption& report) {
  const Result<FlowReader> reader = FlowReader::open(memory);
  if (!reader) return reader.error();
  FlowTable table(memory, flow_geometry(reader->flows()), *reader);
  table.clear_counts();
  report = {};
  for (uint32_t slot = 0; slot < reader->slots(); ++slot) table.adopt_slot(slot, now_ns, mapping, report);
  return table;
}

// They are made anew from the entries: the owner may have died between an entry and its count.
void FlowTable::clear_counts() {
  for (uint32_t s = 0; s < kMaxServices; ++s) {
    store_word(services_[s].counts, 0, std::memory_order_relaxed);
    store_word(services_[s].identity, 0, std::memory_order_relaxed);
  }
  for (uint32_t t = 0; t < kTargetSlots; ++t) store_word(targets_[t], 0, std::memory_order_relaxed);
  for (uint64_t& counter : header_->counters) store_word(counter, 0, std::memory_order_relaxed);
}

void FlowTable::adopt_slot(uint32_t slot, uint64_t now_ns, const FlowMapping& mapping, FlowAdoption& report) {
  FlowBucket& bucket = buckets_[slot / kBucketWays];
  uint64_t& life_word = bucket.life[slot % kBucketWays];
  uint64_t& place_word = bucket.place[slot % kBucketWays];
  const uint64_t life = load_word(life_word, std::memory_order_relaxed);
  if (life == 0) return;
  const Tick now = to_tick(now_ns);
  const FlowState state = state_of(life);
  uint64_t* dropped = &report.invalid;
  if (state != FlowState::none && !is_before(now, deadline_of(life))) {
    dropped = &report.expired;
  } else if (const auto record = reader_.read(slot, now_ns);  // checks the tag and the bucket against the key
             record && deadline_of(life) - now <= kMaxTimeoutTicks) {
    // The owner may have died while it moved the flow from near to far: then there are two entries, and the near one
    // stays.
    const uint64_t key_hash = hash(record->key);
    const FlowHit first = find(key_hash, now_ns);
    const auto owner = mapping({.target = record->target, .service = record->service});
    if (first.slot == slot && owner && owner->service < kMaxServices) {
      const FlowTag tag(key_hash);
      // relaxed: nobody takes this table's word for anything before the daemon has published it.
      store_word(place_word, pack_place(tag, owner->target), std::memory_order_relaxed);
      store_word(life_word, pack_life(tag, owner->service, state, deadline_of(life)), std::memory_order_relaxed);
      count_flow(owner->service, owner->target, state);
      ++report.kept;
      return;
    }
    if (!owner) dropped = &report.unwanted;
  }
  ++*dropped;
  store_word(life_word, 0, std::memory_order_relaxed);
}

FlowOutcome FlowTable::restore(const FlowRecord& flow, FlowOwner owner, uint64_t now_ns) {
  const Tick now = to_tick(now_ns);
  const uint64_t key_hash = hash(flow.key);
  if (find(key_hash, now_ns)) return FlowOutcome::existed;
  const uint32_t slot = find_room(key_hash, now);
  if (slot == kNoSlot) return FlowOutcome::refused_full;
  const FlowTag tag(key_hash);
  const Tick deadline = now + static_cast<Tick>(flow.expires_in_ns >> kTickShift);
  const auto created_s = static_cast<uint32_t>((now_ns - std::min(flow.age_ns, now_ns)) / 1'000'000'000);
  write(slot, pack_place(tag, owner.target), pack_life(tag, owner.service, flow.state, deadline),
        pack_cold(flow.key, created_s));
  count_flow(owner.service, owner.target, flow.state);
  return FlowOutcome::entered;
}

}  // namespace xdplb
