// The records of a slot in shared memory: host byte order, fixed widths, no hidden padding. A change of any of them
// is a new kConfigLayoutVersion. Those of layout 1 never change; where layout 2 has more, its record begins with that
// of layout 1.
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

namespace v1 {

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

}  // namespace v1

namespace v2 {

struct BodyHeader {
  v1::BodyHeader base;
  uint16_t origin_len;  // strings, before all others: the path
  uint8_t origin_names_default;
  uint8_t reserved[5];
};
static_assert(sizeof(BodyHeader) == 88);

struct TargetRecord {
  v1::TargetRecord base;
  uint8_t has_by_hand;
  uint8_t by_hand_state;
  uint8_t by_hand_has_mac;
  uint8_t by_hand_mac[6];
  uint8_t unreachable;
  uint8_t reserved[2];
};
static_assert(sizeof(TargetRecord) == 48);

struct ServiceRecord {
  v1::ServiceRecord base;
  uint32_t need;
};
static_assert(sizeof(ServiceRecord) == 64);

}  // namespace v2

// The records that a layout does not share with the other.
struct Layout1 {
  using BodyHeader = v1::BodyHeader;
  using TargetRecord = v1::TargetRecord;
  using ServiceRecord = v1::ServiceRecord;
};
struct Layout2 {
  using BodyHeader = v2::BodyHeader;
  using TargetRecord = v2::TargetRecord;
  using ServiceRecord = v2::ServiceRecord;
};

// What both layouts have of a record.
template <typename Record>
auto& base_of(Record& record) {
  if constexpr (requires { record.base; }) {
    return record.base;
  } else {
    return record;
  }
}

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
