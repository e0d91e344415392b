// FragmentTable: where the fragments of a datagram go. Decided by its first fragment, the only one with ports; shared
// by all workers, since RSS may bring the fragments of one datagram to different queues.
//
// Any worker writes. Each bucket has a lock that is tried a bounded number of times and held for a few dozen
// instructions: whoever does not get it takes the answer "not known" (and asks again, HeldFragments) or "not
// published". Nobody waits for a thread that was descheduled. Packets that are no fragments never come here.
//
// Bounds: fixed memory, handed in. A decision lives for its
// time, or until the bucket is needed: then the one that would end first goes. Unlike a flow, a decision is needed
// for the milliseconds between the fragments of a datagram, so under a flood of made-up datagrams a table that
// forgets the oldest serves honest ones where one that refuses would not.
//
// Overlapping fragments are not looked for: all fragments of a datagram go to one target, whose stack must discard
// overlaps itself (RFC 5722 for IPv6, RFC 1858 and 3128 for IPv4) and is the only one that sees the bytes. Nor can an
// overlap lead past a service's ports: only a fragment at offset 0 carries them, and each such fragment is matched
// against the services itself.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "user/lb/flow_layout.h"
#include "user/net/parse.h"

namespace xdplb {

// What the fragments of one datagram have in common. IPv6 identifications do not depend on the protocol (RFC 8200,
// 4.5); for IPv4 it is part of the key (RFC 791).
struct FragmentKey {
  IpAddr src;
  IpAddr dst;
  uint32_t id = 0;
  uint32_t protocol = 0;  // IPv4
};
static_assert(sizeof(FragmentKey) == 40);
FragmentKey fragment_key(const PacketInfo& info);

struct FragmentDecision {
  FlowTarget target{};
  uint16_t service = 0;
  uint32_t flow = 0;  // bits of the flow's hash: tells a repeated first fragment from another datagram's
  friend bool operator==(const FragmentDecision&, const FragmentDecision&) = default;
};

struct FragmentEntry {
  uint64_t hash = 0;
  FlowTarget target;
  uint16_t service = 0;
  // In ticks (user/lb/flow_state.h), 48 bits: nobody sweeps this table, so a deadline must still be over in years,
  // when the 32 bits of a flow's would have come round. 0: free.
  uint16_t deadline_high = 0;
  uint32_t flow = 0;
  uint32_t deadline_low = 0;

  [[nodiscard]] uint64_t deadline() const { return uint64_t{deadline_high} << 32 | deadline_low; }
  void set_deadline(uint64_t ticks) {
    deadline_high = static_cast<uint16_t>(ticks >> 32);
    deadline_low = static_cast<uint32_t>(ticks);
  }
  [[nodiscard]] FragmentDecision decision() const { return {.target = target, .service = service, .flow = flow}; }
};
static_assert(sizeof(FragmentEntry) == 24);

// Two lines, since the prefetcher of every x86 of this century fetches them in pairs.
inline constexpr uint32_t kFragmentWays = 5;
struct alignas(128) FragmentBucket {
  uint32_t lock = 0;
  uint32_t reserved = 0;
  std::array<FragmentEntry, kFragmentWays> entries;
};
static_assert(sizeof(FragmentBucket) == 128);

enum class FragmentOutcome : uint8_t {
  published,
  known,    // the datagram has a decision: this fragment is a duplicate, and follows it
  evicted,  // published in place of another datagram's
  busy,     // not published: the bucket's lock was held for too long
};

struct FragmentPublished {
  FragmentOutcome outcome;
  FragmentDecision decision;  // the one in force
};

// A handle on the shared memory; each worker has its own.
class FragmentTable {
 public:
  // `buckets` are zeroed memory (or value-initialised) that outlives all handles. Every handle has the same secret.
  FragmentTable(std::span<FragmentBucket> buckets, uint64_t secret) : buckets_(buckets), secret_(secret) {}

  [[nodiscard]] uint64_t hash(const FragmentKey& key) const { return hash_bytes(&key, sizeof key, secret_); }

  // The first fragment of a datagram came, and its target was chosen. If the datagram has a decision already, that
  // stands (the table of targets may have changed between two copies of the fragment), unless it is for another flow:
  // then the sender has begun again with its identifications.
  FragmentPublished publish(uint64_t hash, const FragmentDecision& decision, uint64_t now_ns, uint64_t ttl_ns);

  // A later fragment came. Nothing: the first has not, or not to our knowledge.
  [[nodiscard]] std::optional<FragmentDecision> find(uint64_t hash, uint64_t now_ns) const;

 private:
  std::span<FragmentBucket> buckets_;
  uint64_t secret_;
};

// Buckets for that many datagrams at a time.
constexpr uint32_t fragment_buckets(uint32_t datagrams) {
  return (datagrams + kFragmentWays - 1) / kFragmentWays;
}
inline constexpr uint32_t kDefaultFragmentDatagrams = 40'960;  // 1 MiB

}  // namespace xdplb
