#include <algorithm>
#include <cstring>
#include <string_view>

#include "user/ctl/config_records.h"
#include "user/ctl/config_wire.h"

namespace xdplb {
namespace {

// The arrays, while they grow.
template <typename Layout>
struct Arrays {
  std::vector<typename Layout::TargetRecord> targets;
  std::vector<typename Layout::ServiceRecord> services;
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

void add_by_hand(wire::v2::TargetRecord& record, const Target& target) {
  record.unreachable = static_cast<uint8_t>(target.unreachable);
  if (!target.by_hand) return;
  record.has_by_hand = 1;
  record.by_hand_state = static_cast<uint8_t>(target.by_hand->state);
  if (!target.by_hand->mac) return;
  record.by_hand_has_mac = 1;
  copy_bytes(record.by_hand_mac, target.by_hand->mac->bytes);
}

template <typename Layout>
void add_target(Arrays<Layout>& arrays, const Target& target) {
  typename Layout::TargetRecord whole{};
  wire::v1::TargetRecord& record = wire::base_of(whole);
  copy_bytes(record.mac, target.mac.bytes);
  record.state = static_cast<uint8_t>(target.state);
  record.has_address = target.address ? 1 : 0;
  if (target.address) copy_bytes(record.address, target.address->bytes);
  record.weight = target.weight;
  record.id = target.id;
  record.epoch = target.epoch;
  record.name_len = arrays.add_string(target.name);
  record.description_len = arrays.add_string(target.description);
  if constexpr (std::is_same_v<Layout, wire::Layout2>) add_by_hand(whole, target);
  arrays.targets.push_back(whole);
}

template <typename Layout>
void add_listen(Arrays<Layout>& arrays, const Listen& listen) {
  wire::ListenRecord record{};
  record.protocol = listen.protocol;
  record.port_count = static_cast<uint32_t>(listen.ports.size());
  arrays.listens.push_back(record);
  for (const PortRange& range : listen.ports) arrays.ports.push_back({range.first, range.last});
}

template <typename Layout>
void add_service(Arrays<Layout>& arrays, const Service& service) {
  typename Layout::ServiceRecord whole{};
  wire::v1::ServiceRecord& record = wire::base_of(whole);
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
  if constexpr (std::is_same_v<Layout, wire::Layout2>) whole.need = service.need;
  arrays.services.push_back(whole);

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
void append(std::vector<uint8_t>& body, wire::v1::BodyHeader& header, wire::Section section,
            const std::vector<Record>& records) {
  header.sections[section] = {static_cast<uint32_t>(body.size()), static_cast<uint32_t>(records.size())};
  const auto* bytes = reinterpret_cast<const uint8_t*>(records.data());
  body.insert(body.end(), bytes, bytes + records.size() * sizeof(Record));
}

template <typename Layout>
std::vector<uint8_t> encode(const Config& config) {
  Arrays<Layout> arrays;
  typename Layout::BodyHeader whole{};
  if constexpr (std::is_same_v<Layout, wire::Layout2>) {
    whole.origin_len = arrays.add_string(config.origin.file);
    whole.origin_names_default = config.origin.names_default ? 1 : 0;
  }
  for (const Target& target : config.targets) add_target(arrays, target);
  for (const Service& service : config.services) add_service(arrays, service);
  for (const MacAddr& mac : config.lb_tier.members) {
    wire::TierMemberRecord record{};
    copy_bytes(record.mac, mac.bytes);
    arrays.tier_members.push_back(record);
  }

  wire::v1::BodyHeader& header = wire::base_of(whole);
  header.hash_seed = config.hash_seed;
  header.tier_own_index = config.lb_tier.own_index;
  header.last_epoch = config.last_epoch;
  std::vector<uint8_t> body(sizeof whole);
  append(body, header, wire::kTargets, arrays.targets);
  append(body, header, wire::kServices, arrays.services);
  append(body, header, wire::kVips, arrays.vips);
  append(body, header, wire::kListens, arrays.listens);
  append(body, header, wire::kPorts, arrays.ports);
  append(body, header, wire::kUses, arrays.uses);
  append(body, header, wire::kTierMembers, arrays.tier_members);
  append(body, header, wire::kStrings, arrays.strings);
  std::memcpy(body.data(), &whole, sizeof whole);
  return body;
}

}  // namespace

std::vector<uint8_t> encode_config(const Config& config, uint32_t layout) {
  return layout == 1 ? encode<wire::Layout1>(config) : encode<wire::Layout2>(config);
}

Result<void> check_fits_layout(const Config& config, uint32_t layout) {
  if (layout != 1) return {};
  const auto refused = [](const std::string& what) {
    return fail(
        "{} has no room in layout 1 of the shared memory, that of the daemon that runs: restart the daemon (no flow "
        "is "
        "lost), then try again",
        what);
  };
  for (const Target& target : config.targets) {
    if (target.by_hand) return refused(fmt::format("the mark by hand of target \"{}\"", target.name));
    if (target.unreachable != Unreachable::remove) {
      return refused(fmt::format("\"unreachable\" of target \"{}\"", target.name));
    }
  }
  for (const Service& service : config.services) {
    if (service.need != Service{}.need) return refused(fmt::format("\"need\" of service \"{}\"", service.name));
  }
  return {};
}

}  // namespace xdplb
