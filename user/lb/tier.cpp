#include "user/lb/tier.h"

#include <algorithm>

namespace xdplb {

Tier::Tier(const LbTier& config, uint64_t hash_seed) : own_(config.own_index), seed_(hash_seed) {
  agreement_ = hash_bytes(&hash_seed, sizeof hash_seed, 0);
  for (const MacAddr& mac : config.members) {
    members_.push_back({mac, hash_bytes(mac.bytes.data(), mac.bytes.size(), hash_seed)});
    agreement_ = hash_bytes(mac.bytes.data(), mac.bytes.size(), agreement_);
  }
}

uint32_t Tier::owner(const FlowKey& key, TierMask live) const {
  FlowKey addresses;
  addresses.src = key.src;
  addresses.dst = key.dst;
  const uint64_t hash = hash_key(addresses, seed_);
  uint32_t best = own_;
  uint64_t most = 0;
  for (uint32_t i = 0; i < members_.size(); ++i) {
    if (i != own_ && (live >> i & 1) == 0) continue;
    const uint64_t draw = hash_bytes(&members_[i].identity, sizeof members_[i].identity, hash);
    // Draws that are equal, which takes 2^32 datagrams, are decided by the identity: the same everywhere.
    if (draw < most || (draw == most && members_[i].identity < members_[best].identity)) continue;
    most = draw;
    best = i;
  }
  return best;
}

bool Tier::is_peer(const MacAddr& source) const {
  for (uint32_t i = 0; i < members_.size(); ++i) {
    if (i != own_ && members_[i].mac == source) return true;
  }
  return false;
}

}  // namespace xdplb
