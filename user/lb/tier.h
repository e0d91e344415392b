// Tier: the load balancers that share the work on fragments, compiled for the packet path (user/lb/config.h, LbTier).
//
// Routers may bring the fragments of one datagram to different balancers, and only the first has ports. So each
// datagram has an owner among the balancers, by its addresses alone; whoever else gets a fragment of it hands that
// on. Part of a Snapshot: immutable, read by workers.
//
// The owner is chosen among those that live, by rendezvous: each balancer draws a number from the addresses and its
// own MAC, the highest wins. All balancers with the same members, seed and view of who lives agree, in whatever order
// the members are listed; one that goes or comes moves only its own share.
#pragma once

#include <cstdint>
#include <vector>

#include "user/lb/config.h"
#include "user/net/flow_key.h"

namespace xdplb {

// Which members live: bit i is member i.
using TierMask = uint64_t;
static_assert(kMaxLbTier <= 64);
inline constexpr TierMask kAllLive = ~TierMask{0};

class Tier {
 public:
  Tier() = default;  // none
  Tier(const LbTier& config, uint64_t hash_seed);

  [[nodiscard]] bool exists() const { return members_.size() > 1; }
  [[nodiscard]] uint32_t own_index() const { return own_; }
  [[nodiscard]] const MacAddr& own_mac() const { return members_[own_].mac; }
  [[nodiscard]] const MacAddr& mac(uint32_t member) const { return members_[member].mac; }
  [[nodiscard]] uint32_t size() const { return static_cast<uint32_t>(members_.size()); }

  // The member that handles the fragments between these addresses. We ourselves always live.
  [[nodiscard]] uint32_t owner(const FlowKey& key, TierMask live) const;

  // Whether a frame with this source address comes from another member. Such a one is never handed on: no loops.
  [[nodiscard]] bool is_peer(const MacAddr& source) const;

  // Equal where two balancers would choose alike: members, their order (who lives is told by index) and the seed.
  [[nodiscard]] uint64_t agreement() const { return agreement_; }

 private:
  struct Member {
    MacAddr mac;
    uint64_t identity = 0;
  };
  uint32_t own_ = 0;
  uint64_t seed_ = 0;
  uint64_t agreement_ = 0;
  std::vector<Member> members_;
};

}  // namespace xdplb
