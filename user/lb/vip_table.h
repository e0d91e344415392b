// VipTable: which service a packet belongs to, by destination, protocol and port.
//
// Exact address first, else the longest prefix that contains it; within that VIP the most specific listener: a port
// or range of the protocol (the narrower range first), then the protocol as a whole, then any protocol. Built whole
// by build(), immutable afterwards; readers of any thread. Lookup cost does not depend on the number of services: one
// hash probe for an exact address, one per prefix length in use otherwise, then a binary search over the ports of
// that VIP (none where one service takes all of it).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "user/base/hash.h"
#include "user/lb/config.h"

namespace xdplb {

inline constexpr uint16_t kNoService = 0xffff;

// Where to look for an address: the uppermost bits count. Fibonacci hashing (Knuth, The Art of Computer Programming
// 3, 6.4) of the address as a number, so that neighbours, as VIPs are, lie apart. An attacker has no say in them.
inline uint64_t hash_addr(const IpAddr& a) {
  uint64_t words[2];
  std::memcpy(words, a.bytes.data(), sizeof words);
  constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;  // 2^64 by the golden ratio
  return (words[0] * kGolden ^ __builtin_bswap64(words[1])) * kGolden;
}

class VipTable {
 public:
  // Services are named by their id. Overlaps were refused by validate_config; where they exist nevertheless, the
  // first in the order of `services` wins.
  static VipTable build(std::span<const Service> services);

  // The service for a packet with ports (or, for other protocols, with port 0). kNoService: the VIP is known but
  // nobody listens. The default service's id (or kNoService without one) where no service names the address.
  [[nodiscard]] uint16_t match(const IpAddr& dst, uint8_t protocol, uint16_t port) const {
    const Vip* vip = find(dst);
    if (vip == nullptr) return default_service_;
    if (vip->sole_service != kNoService) return vip->sole_service;
    return match_listeners(listeners_[vip->listeners], protocol, port);
  }

  // The service for what has no ports of its own (ICMP echo): one that listens to it, else the VIP's first by name.
  [[nodiscard]] uint16_t match_icmp(const IpAddr& dst) const;

 private:
  struct Vip {
    IpAddr addr;
    uint8_t used = 0;
    uint16_t sole_service = kNoService;  // takes every protocol and port
    uint32_t listeners = 0;              // index into listeners_
  };
  // Ports from `first` up to the next segment's first.
  struct Segment {
    uint16_t first;
    uint16_t service;
  };
  struct Listeners {
    std::vector<Segment> tcp, udp, sctp;  // sorted, the first begins at port 0
    std::vector<uint16_t> by_protocol;    // 256 entries
    uint16_t icmp = kNoService;
  };
  // Open addressing, linear probing, at most half full.
  struct AddressSet {
    std::vector<Vip> slots;  // a power of two, at least two
    uint32_t mask = 0;
    uint32_t shift = 63;  // from a hash to its first slot
    uint8_t prefix_len = 128;

    [[nodiscard]] uint32_t first_slot(const IpAddr& a) const { return static_cast<uint32_t>(hash_addr(a) >> shift); }
  };
  friend class VipTableBuilder;

  // Asked for each packet: of the arrays' own comparison g++ makes a call to memcmp.
  static bool same(const IpAddr& a, const IpAddr& b) {
    uint64_t x[2], y[2];
    std::memcpy(x, a.bytes.data(), sizeof x);
    std::memcpy(y, b.bytes.data(), sizeof y);
    return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
  }
  static const Vip* probe(const AddressSet& set, const IpAddr& a) {
    for (uint32_t i = set.first_slot(a);; i = (i + 1) & set.mask) {
      const Vip& vip = set.slots[i];
      if (!vip.used) return nullptr;
      if (same(vip.addr, a)) return &vip;
    }
  }
  [[nodiscard]] const Vip* find(const IpAddr& dst) const {
    if (const Vip* vip = probe(exact_, dst)) return vip;
    return prefixes_.empty() ? nullptr : find_prefix(dst);
  }
  [[nodiscard]] const Vip* find_prefix(const IpAddr& dst) const;
  [[nodiscard]] static uint16_t match_listeners(const Listeners& l, uint8_t protocol, uint16_t port);

  AddressSet exact_;
  std::vector<AddressSet> prefixes_;  // longest first
  std::vector<Listeners> listeners_;
  uint16_t default_service_ = kNoService;
};

// `addr` with the bits beyond the first `len` cleared.
IpAddr mask_addr(const IpAddr& addr, uint8_t len);

}  // namespace xdplb
