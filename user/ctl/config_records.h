// The records of a slot in shared memory: host byte order, fixed widths, no hidden padding. A change of any of them
// is a new kConfigLayoutVersion.
#pragma once

#include <cstdint>

namespace xdplb::wire {

// In the order in which they lie.
enum Section : uint32_t {
  kTargets,
  kServices,
  kVips,
  kListens,
  kPorts,
  kUses,
  kTierMembers,
  kStrings,  // bytes
  kSectionCount,
};

struct SectionRef {
  uint32_t offset;  // bytes from the start of the body
  uint32_t count;   // records
};

struct BodyHeader {
  uint64_t hash_seed;
  uint32_t tier_own_index;
  uint16_t last_epoch;
  uint16_t reserved;
  SectionRef sections[kSectionCount];
};
static_assert(sizeof(BodyHeader) == 80);

struct TargetRecord {
  uint8_t mac[6];
  uint8_t state;
  uint8_t has_address;
  uint8_t address[16];
  uint32_t weight;
  uint16_t id;
  uint16_t epoch;
  uint16_t name_len;  // strings: name, then description
  uint16_t description_len;
};
static_assert(sizeof(TargetRecord) == 36);

struct ServiceRecord {
  uint16_t id;
  uint16_t name_len;  // strings: name, then description
  uint16_t description_len;
  uint8_t on_empty;
  uint8_t hash_fields;
  uint8_t algorithm;
  uint8_t is_default;
  uint8_t fallback_pass;
  uint8_t reserved;
  uint32_t vip_count;
  uint32_t listen_count;
  uint32_t use_count;
  uint32_t table_size;
  uint32_t timeouts_s[6];  // in the order of struct Timeouts
  uint32_t flow_quota_percent;
  uint32_t embryonic_quota_percent;
};
static_assert(sizeof(ServiceRecord) == 60);

struct VipRecord {
  uint8_t addr[16];
  uint8_t len;
  uint8_t fallback_pass;
  uint8_t reserved[2];
};
static_assert(sizeof(VipRecord) == 20);

struct ListenRecord {
  uint8_t protocol;
  uint8_t reserved[3];
  uint32_t port_count;
};
static_assert(sizeof(ListenRecord) == 8);

struct PortRecord {
  uint16_t first;
  uint16_t last;
};
static_assert(sizeof(PortRecord) == 4);

struct UseRecord {
  uint32_t target;
  uint32_t weight;
  uint32_t has_weight;
};
static_assert(sizeof(UseRecord) == 12);

struct TierMemberRecord {
  uint8_t mac[6];
};
static_assert(sizeof(TierMemberRecord) == 6);

}  // namespace xdplb::wire
