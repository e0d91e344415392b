// FlowKey: the tuple that names a flow. 40 bytes without hidden padding, so that it can be hashed and compared as
// bytes.
//
// Ports are in host order. Protocols without ports (and fragments, ESP, ...) have zeros there. IPv4 and IPv6 are
// alike (IPv4-mapped), so one hash serves both. ICMP is IPPROTO_ICMP, ICMPv6 IPPROTO_ICMPV6.
#pragma once

#include <cstdint>
#include <cstring>

#include "user/base/hash.h"
#include "user/net/ip.h"

namespace xdplb {

struct FlowKey {
  IpAddr src;
  IpAddr dst;
  uint16_t src_port = 0;
  uint16_t dst_port = 0;
  uint8_t protocol = 0;
  uint8_t reserved[3] = {};

  friend bool operator==(const FlowKey& a, const FlowKey& b) { return std::memcmp(&a, &b, sizeof a) == 0; }
};
static_assert(sizeof(FlowKey) == 40 && alignof(FlowKey) == 2);

inline uint64_t hash_key(const FlowKey& key, uint64_t seed) {
  return hash_bytes(&key, sizeof key, seed);
}

}  // namespace xdplb
