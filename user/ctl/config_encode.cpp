#include <algorithm>
#include <cstring>
#include <string_view>

#include "user/ctl/config_records.h"
#include "user/ctl/config_wire.h"

namespace xdplb {
namespace {

// The arrays, while they grow.
struct Arrays {
  std::vector<wire::TargetRecord> targets;
  std::vector<wire::ServiceRecord> services;
  std::vector<wire::VipRecord> vips;
  std::vector<wire::ListenRecord> listens;
  std::vector<wire::PortRecord> ports;
  std::vector<wire::UseRecord> uses;
  std::vector<wire::TierMemberRecord> tier_members;
  std::vector<char> strings;

  uint16_t add_string(std::string_view text) {
    strings.insert(strings.end(), text.begin(), text.end());
    return static_cast<uint16_t>(text.size());
  }
};

template <typename To, typename From>
void copy_bytes(To& to, const From& from) {
  static_assert(sizeof to == sizeof from);
  std::memcpy(&to, &from, sizeof to);
}

void add_target(Arrays& arrays, const Target& target) {
  wire::TargetRecord record{};
  copy_bytes(record.mac, target.mac.bytes);
  record.state = static_cast<uint8_t>(target.state);
  record.has_address = target.address ? 1 : 0;
  if (target.address) copy_bytes(record.address, target.address->bytes);
  record.weight = target.weight;
  record.id = target.id;
  record.epoch = target.epoch;
  record.name_len = arrays.add_string(target.name);
  record.description_len = arrays.add_string(target.description);
  arrays.targets.push_back(record);
}

void add_listen(Arrays& arrays, const Listen& listen) {
  wire::ListenRecord record{};
  record.protocol = listen.protocol;
  record.port_count = static_cast<uint32_t>(listen.ports.size());
  arrays.listens.push_back(record);
  for (const PortRange& range : listen.ports) arrays.ports.push_back({range.first, range.last});
}

void add_service(Arrays& arrays, const Service& service) {
  wire::ServiceRecord record{};
  record.id = service.id;
  record.name_len = arrays.add_string(service.name);
  record.description_len = arrays.add_string(service.description);
  record.on_empty = static_cast<uint8_t>(service.on_empty);
  record.hash_fields = static_cast<uint8_t>(service.hash_fields);
  record.algorithm = static_cast<uint8_t>(service.algorithm);
  record.is_default = service.is_default ? 1 : 0;
  record.fallback_pass = service.fallback_pass ? 1 : 0;
  record.vip_count = static_cast<uint32_t>(service.vips.size());
  record.listen_count = static_cast<uint32_t>(service.listen.size());
  record.use_count = static_cast<uint32_t>(service.targets.size());
  record.table_size = service.table_size;
  copy_bytes(record.timeouts_s, service.timeouts);
  record.flow_quota_percent = service.flow_quota_percent;
  record.embryonic_quota_percent = service.embryonic_quota_percent;
  arrays.services.push_back(record);

  for (const IpPrefix& vip : service.vips) {
    wire::VipRecord vip_record{};
    copy_bytes(vip_record.addr, vip.addr.bytes);
    vip_record.len = vip.len;
    vip_record.fallback_pass = std::count(service.pass_vips.begin(), service.pass_vips.end(), vip) > 0 ? 1 : 0;
    arrays.vips.push_back(vip_record);
  }
  for (const Listen& listen : service.listen) add_listen(arrays, listen);
  for (const TargetUse& use : service.targets) {
    arrays.uses.push_back({use.target, use.weight.value_or(0), use.weight ? 1u : 0u});
  }
}

template <typename Record>
void append(std::vector<uint8_t>& body, wire::BodyHeader& header, wire::Section section,
            const std::vector<Record>& records) {
  header.sections[section] = {static_cast<uint32_t>(body.size()), static_cast<uint32_t>(records.size())};
  const auto* bytes = reinterpret_cast<const uint8_t*>(records.data());
  body.insert(body.end(), bytes, bytes + records.size() * sizeof(Record));
}

}  // namespace

std::vector<uint8_t> encode_config(const Config& config) {
  Arrays arrays;
  for (const Target& target : config.targets) add_target(arrays, target);
  for (const Service& service : config.services) add_service(arrays, service);
  for (const MacAddr& mac : config.lb_tier.members) {
    wire::TierMemberRecord record{};
    copy_bytes(record.mac, mac.bytes);
    arrays.tier_members.push_back(record);
  }

  wire::BodyHeader header{};
  header.hash_seed = config.hash_seed;
  header.tier_own_index = config.lb_tier.own_index;
  header.last_epoch = config.last_epoch;
  std::vector<uint8_t> body(sizeof header);
  append(body, header, wire::kTargets, arrays.targets);
  append(body, header, wire::kServices, arrays.services);
  append(body, header, wire::kVips, arrays.vips);
  append(body, header, wire::kListens, arrays.listens);
  append(body, header, wire::kPorts, arrays.ports);
  append(body, header, wire::kUses, arrays.uses);
  append(body, header, wire::kTierMembers, arrays.tier_members);
  append(body, header, wire::kStrings, arrays.strings);
  std::memcpy(body.data(), &header, sizeof header);
  return body;
}

}  // namespace xdplb
