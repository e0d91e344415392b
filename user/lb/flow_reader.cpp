#include "user/lb/flow_reader.h"

#include "user/lb/flow_geometry.h"

namespace xdplb {
namespace {

constexpr uint64_t kNsPerSecond = 1'000'000'000;

}  // namespace

Result<FlowReader> FlowReader::open(std::span<const std::byte> memory) {
  const Result<FlowGeometry> geometry = check_flow_memory(memory);
  if (!geometry) return geometry.error();
  FlowReader reader;
  reader.header_ = reinterpret_cast<const FlowTableHeader*>(memory.data());
  reader.services_ = reinterpret_cast<const FlowServiceWords*>(memory.data() + kFlowServicesOffset);
  reader.targets_ = reinterpret_cast<const FlowTargetWord*>(memory.data() + kFlowTargetsOffset);
  reader.buckets_ = reinterpret_cast<const FlowBucket*>(memory.data() + geometry->buckets_offset);
  reader.cold_ = reinterpret_cast<const FlowCold*>(memory.data() + geometry->cold_offset);
  reader.buckets_n_ = geometry->buckets;
  reader.hash_ = FlowHash(reader.secret());
  return reader;
}

std::optional<FlowRecord> FlowReader::read(uint32_t slot, uint64_t now_ns) const {
  XDPLB_CHECK(slot < slots());
  const FlowBucket& bucket = buckets_[slot / kBucketWays];
  const Tick now = to_tick(now_ns);
  // acquire, both: as in find_in_bucket. The cold words were written before either.
  const uint64_t place = load_word(bucket.place[slot % kBucketWays], std::memory_order_acquire);
  const uint64_t life = load_word(bucket.life[slot % kBucketWays], std::memory_order_acquire);
  if (!is_live(life, now) || load_word(bucket.place[slot % kBucketWays], std::memory_order_relaxed) != place) {
    return std::nullopt;
  }
  FlowCold cold;
  for (size_t i = 0; i < cold.words.size(); ++i) {
    cold.words[i] = load_word(cold_[slot].words[i], std::memory_order_relaxed);
  }
  FlowRecord record;
  const uint32_t created_s = unpack_cold(cold, record.key);
  // If the slot changed hands meanwhile, some of these words are another flow's, and the tags do not agree.
  const uint64_t key_hash = hash(record.key);
  const FlowTag tag(key_hash);
  const uint32_t at = slot / kBucketWays;
  if (static_cast<uint32_t>(place >> 32) != tag.low || (life & 0xffff) != tag.high) return std::nullopt;
  if (at != near_bucket(key_hash, buckets_n_) && at != far_bucket(key_hash, buckets_n_)) return std::nullopt;
  record.handle = {.slot = slot, .place = place};
  record.target = target_of(place);
  record.service = service_of(life);
  record.state = state_of(life);
  record.expires_in_ns = uint64_t{deadline_of(life) - now} << kTickShift;
  const uint32_t now_s = static_cast<uint32_t>(now_ns / kNsPerSecond);
  record.age_ns = ((now_s - created_s) & kCreatedMask) * kNsPerSecond;
  return record;
}

// relaxed, all below: each word stands for itself; nothing else is read on the strength of it.
uint64_t FlowReader::counter(FlowCounter counter) const {
  return load_word(header_->counters[static_cast<size_t>(counter)], std::memory_order_relaxed);
}

uint32_t FlowReader::live_of_service(uint16_t service) const {
  XDPLB_CHECK(service < kMaxServices);
  return static_cast<uint32_t>(load_word(services_[service].counts, std::memory_order_relaxed) >> 32);
}

uint32_t FlowReader::embryonic_of_service(uint16_t service) const {
  XDPLB_CHECK(service < kMaxServices);
  return static_cast<uint32_t>(load_word(services_[service].counts, std::memory_order_relaxed));
}

uint64_t FlowReader::identity_of_service(uint16_t service) const {
  XDPLB_CHECK(service < kMaxServices);
  return load_word(services_[service].identity, std::memory_order_relaxed);
}

uint32_t FlowReader::live_of_target(FlowTarget target) const {
  const uint64_t word = load_word(targets_[target.id], std::memory_order_relaxed);
  return word >> 32 == target.epoch ? static_cast<uint32_t>(word) : 0;
}

}  // namespace xdplb
