#include <cstring>
#include <string>

#include "user/ctl/config_records.h"
#include "user/ctl/config_wire.h"

namespace xdplb {
namespace {

constexpr const char* kDamaged = "The configuration in shared memory is damaged";

// One array of the body, handed out record by record.
template <typename Record>
class Cursor {
 public:
  // False where the section does not lie within the body.
  bool open(std::span<const uint8_t> body, const wire::SectionRef& section) {
    const uint64_t len_bytes = uint64_t{section.count} * sizeof(Record);
    if (section.offset > body.size() || len_bytes > body.size() - section.offset) return false;
    bytes_ = body.subspan(section.offset, static_cast<size_t>(len_bytes));
    return true;
  }
  [[nodiscard]] size_t left() const { return bytes_.size() / sizeof(Record); }
  // False at the end.
  bool next(Record& record) {
    if (bytes_.size() < sizeof record) return false;
    std::memcpy(&record, bytes_.data(), sizeof record);
    bytes_ = bytes_.subspan(sizeof record);
    return true;
  }
  bool next_string(uint16_t len, std::string& text) requires(sizeof(Record) == 1) {
    if (len > bytes_.size()) return false;
    text.assign(reinterpret_cast<const char*>(bytes_.data()), len);
    bytes_ = bytes_.subspan(len);
    return true;
  }

 private:
  std::span<const uint8_t> bytes_;
};

// Sets an enumerator or a bool from its byte; false where there is none of that value.
template <typename Enum>
bool set_enum(Enum& out, uint8_t value, Enum last) {
  out = static_cast<Enum>(value);
  return value <= static_cast<uint8_t>(last);
}
bool set_bool(bool& out, uint32_t value) {
  out = value == 1;
  return value <= 1;
}

template <typename Layout>
class Decoder {
  static constexpr bool kHasMarks = std::is_same_v<Layout, wire::Layout2>;

 public:
  Result<Config> decode(std::span<const uint8_t> body) {
    typename Layout::BodyHeader whole{};
    if (body.size() < sizeof whole) return fail("{}: {} bytes are too few", kDamaged, body.size());
    std::memcpy(&whole, body.data(), sizeof whole);
    const wire::v1::BodyHeader& header = wire::base_of(whole);
    if (!open_sections(body, header)) return fail("{}: a section lies outside of it", kDamaged);
    config_.hash_seed = header.hash_seed;
    config_.last_epoch = header.last_epoch;
    config_.lb_tier.own_index = header.tier_own_index;
    if constexpr (kHasMarks) {
      if (!set_bool(config_.origin.names_default, whole.origin_names_default) ||
          !strings_.next_string(whole.origin_len, config_.origin.file)) {
        return fail("{}: origin", kDamaged);
      }
    }

    while (targets_.left() > 0) {
      if (!decode_target()) return fail("{}: target {}", kDamaged, config_.targets.size());
    }
    while (services_.left() > 0) {
      if (!decode_service()) return fail("{}: service {}", kDamaged, config_.services.size());
    }
    wire::TierMemberRecord member{};
    while (tier_members_.next(member)) {
      std::memcpy(config_.lb_tier.members.emplace_back().bytes.data(), member.mac, sizeof member.mac);
    }
    if (vips_.left() + listens_.left() + ports_.left() + uses_.left() + strings_.left() > 0) {
      return fail("{}: records that belong to nothing", kDamaged);
    }
    return std::move(config_);
  }

 private:
  bool open_sections(std::span<const uint8_t> body, const wire::v1::BodyHeader& header) {
    return targets_.open(body, header.sections[wire::kTargets]) &&
           services_.open(body, header.sections[wire::kServices]) && vips_.open(body, header.sections[wire::kVips]) &&
           listens_.open(body, header.sections[wire::kListens]) && ports_.open(body, header.sections[wire::kPorts]) &&
           uses_.open(body, header.sections[wire::kUses]) &&
           tier_members_.open(body, header.sections[wire::kTierMembers]) &&
           strings_.open(body, header.sections[wire::kStrings]);
  }

  bool decode_target() {
    typename Layout::TargetRecord whole{};
    if (!targets_.next(whole)) return false;
    const wire::v1::TargetRecord& record = wire::base_of(whole);
    Target& target = config_.targets.emplace_back();
    bool has_address = false;
    if (!set_enum(target.state, record.state, TargetState::down) || !set_bool(has_address, record.has_address)) {
      return false;
    }
    std::memcpy(target.mac.bytes.data(), record.mac, sizeof record.mac);
    if (has_address) std::memcpy(target.address.emplace().bytes.data(), record.address, sizeof record.address);
    target.weight = record.weight;
    target.id = record.id;
    target.epoch = record.epoch;
    if constexpr (kHasMarks) {
      if (!decode_by_hand(whole, target)) return false;
    }
    return strings_.next_string(record.name_len, target.name) &&
           strings_.next_string(record.description_len, target.description);
  }

  static bool decode_by_hand(const wire::v2::TargetRecord& record, Target& target) {
    ByHand by_hand;
    bool has_by_hand = false, has_mac = false;
    if (!set_enum(target.unreachable, record.unreachable, Unreachable::keep) ||
        !set_bool(has_by_hand, record.has_by_hand) || !set_bool(has_mac, record.by_hand_has_mac) ||
        !set_enum(by_hand.state, record.by_hand_state, TargetState::down)) {
      return false;
    }
    if (has_mac) std::memcpy(by_hand.mac.emplace().bytes.data(), record.by_hand_mac, sizeof record.by_hand_mac);
    if (has_by_hand) target.by_hand = by_hand;
    return true;
  }

  bool decode_service() {
    typename Layout::ServiceRecord whole{};
    if (!services_.next(whole)) return false;
    const wire::v1::ServiceRecord& record = wire::base_of(whole);
    Service& service = config_.services.emplace_back();
    if (!set_enum(service.on_empty, record.on_empty, OnEmpty::pass) ||
        !set_enum(service.hash_fields, record.hash_fields, HashFields::source) ||
        !set_enum(service.algorithm, record.algorithm, Algorithm::modulo) ||
        !set_bool(service.is_default, record.is_default) || !set_bool(service.fallback_pass, record.fallback_pass)) {
      return false;
    }
    service.id = record.id;
    service.table_size = record.table_size;
    if constexpr (kHasMarks) service.need = whole.need;
    static_assert(sizeof service.timeouts == sizeof record.timeouts_s);
    std::memcpy(&service.timeouts, record.timeouts_s, sizeof record.timeouts_s);
    service.flow_quota_percent = record.flow_quota_percent;
    service.embryonic_quota_percent = record.embryonic_quota_percent;
    return strings_.next_string(record.name_len, service.name) &&
           strings_.next_string(record.description_len, service.description) &&
           decode_vips(service, record.vip_count) && decode_listens(service, record.listen_count) &&
           decode_uses(service, record.use_count);
  }

  bool decode_vips(Service& service, uint32_t count) {
    wire::VipRecord record{};
    for (uint32_t i = 0; i < count; ++i) {
      bool fallback_pass = false;
      if (!vips_.next(record) || record.len > 128 || !set_bool(fallback_pass, record.fallback_pass)) return false;
      IpPrefix& vip = service.vips.emplace_back();
      std::memcpy(vip.addr.bytes.data(), record.addr, sizeof record.addr);
      vip.len = record.len;
      if (fallback_pass) service.pass_vips.push_back(vip);
    }
    return true;
  }

  bool decode_listens(Service& service, uint32_t count) {
    wire::ListenRecord record{};
    for (uint32_t i = 0; i < count; ++i) {
      if (!listens_.next(record)) return false;
      Listen& listen = service.listen.emplace_back();
      listen.protocol = record.protocol;
      wire::PortRecord port{};
      for (uint32_t k = 0; k < record.port_count; ++k) {
        if (!ports_.next(port)) return false;
        listen.ports.push_back(PortRange{port.first, port.last});
      }
    }
    return true;
  }

  bool decode_uses(Service& service, uint32_t count) {
    wire::UseRecord record{};
    for (uint32_t i = 0; i < count; ++i) {
      bool has_weight = false;
      if (!uses_.next(record) || !set_bool(has_weight, record.has_weight)) return false;
      TargetUse& use = service.targets.emplace_back();
      use.target = record.target;
      if (has_weight) use.weight = record.weight;
    }
    return true;
  }

  Config config_;
  Cursor<typename Layout::TargetRecord> targets_;
  Cursor<typename Layout::ServiceRecord> services_;
  Cursor<wire::VipRecord> vips_;
  Cursor<wire::ListenRecord> listens_;
  Cursor<wire::PortRecord> ports_;
  Cursor<wire::UseRecord> uses_;
  Cursor<wire::TierMemberRecord> tier_members_;
  Cursor<char> strings_;
};

}  // namespace

Result<Config> decode_config(std::span<const uint8_t> bytes, uint32_t layout) {
  return layout == 1 ? Decoder<wire::Layout1>{}.decode(bytes) : Decoder<wire::Layout2>{}.decode(bytes);
}

}  // namespace xdplb
