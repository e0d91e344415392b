#include "user/lb/fragment_table.h"

#include <atomic>

#include "user/base/check.h"

namespace xdplb {
namespace {

// Some 10 us. A bucket is held for tens of nanoseconds, unless its holder was descheduled: then for longer than we
// would ever wait.
constexpr uint32_t kLockTries = 256;

class BucketLock {
 public:
  explicit BucketLock(uint32_t& word) : word_(word) {
    for (uint32_t i = 0; i < kLockTries && !held_; ++i) {
      // acquire: partner is the release below, of whoever held the bucket before.
      held_ = word_.exchange(1, std::memory_order_acquire) == 0;
      if (!held_) __builtin_ia32_pause();
    }
  }
  ~BucketLock() {
    // release: partner is the acquire above, of whoever holds the bucket next.
    if (held_) word_.store(0, std::memory_order_release);
  }
  BucketLock(const BucketLock&) = delete;
  BucketLock& operator=(const BucketLock&) = delete;

  [[nodiscard]] bool held() const { return held_; }

 private:
  std::atomic_ref<uint32_t> word_;
  bool held_ = false;
};

// 48 bits of them last for 150,000 years.
uint64_t ticks_of(uint64_t ns) {
  return ns >> kTickShift;
}

bool is_live(const FragmentEntry& entry, uint64_t now_ticks) {
  return now_ticks < entry.deadline();
}

}  // namespace

FragmentKey fragment_key(const PacketInfo& info) {
  return {.src = info.key.src,
          .dst = info.key.dst,
          .id = info.fragment_id,
          .protocol = info.ip_version == 4 ? info.key.protocol : uint32_t{0}};
}

FragmentPublished FragmentTable::publish(uint64_t hash, const FragmentDecision& decision, uint64_t now_ns,
                                         uint64_t ttl_ns) {
  FragmentBucket& bucket = buckets_[reduce(hash, static_cast<uint32_t>(buckets_.size()))];
  const BucketLock lock(bucket.lock);
  if (!lock.held()) return {FragmentOutcome::busy, decision};
  const uint64_t now = ticks_of(now_ns);
  FragmentEntry* room = bucket.entries.data();
  for (FragmentEntry& entry : bucket.entries) {
    if (is_live(entry, now) && entry.hash == hash) {
      if (entry.flow == decision.flow) return {FragmentOutcome::known, entry.decision()};
      entry.set_deadline(0);  // the identification is used again
      room = &entry;
      break;
    }
    // A free one before any other, else the one that ends first.
    if (is_live(*room, now) && (!is_live(entry, now) || entry.deadline() < room->deadline())) room = &entry;
  }
  const FragmentOutcome outcome = is_live(*room, now) ? FragmentOutcome::evicted : FragmentOutcome::published;
  *room = {.hash = hash, .target = decision.target, .service = decision.service, .flow = decision.flow};
  room->set_deadline(now + ticks_of(ttl_ns) + 2);
  return {outcome, decision};
}

std::optional<FragmentDecision> FragmentTable::find(uint64_t hash, uint64_t now_ns) const {
  FragmentBucket& bucket = buckets_[reduce(hash, static_cast<uint32_t>(buckets_.size()))];
  const BucketLock lock(bucket.lock);
  if (!lock.held()) return std::nullopt;
  for (const FragmentEntry& entry : bucket.entries) {
    if (entry.hash == hash && is_live(entry, ticks_of(now_ns))) return entry.decision();
  }
  return std::nullopt;
}

}  // namespace xdplb
