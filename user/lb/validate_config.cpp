// validate_config: everything that must hold of a Config, in the order of its fields. Configurations come from files,
// from the command line and from shared memory that anything may have written, so nothing is taken for granted.
#include <netinet/in.h>

#include <algorithm>
#include <unordered_map>

#include "user/lb/config.h"
#include "user/lb/maglev.h"
#include "user/lb/rendezvous.h"
#include "user/lb/vip_table.h"

namespace xdplb {
namespace {

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("._:@/-").find(c) != std::string_view::npos;
}

Result<void> check_name(const std::string& path, const std::string& name) {
  if (name.empty()) return fail("{}: is empty", path);
  if (name.size() > kMaxNameLen) return fail("{}: \"{}\" is longer than {} bytes", path, name, kMaxNameLen);
  if (!std::all_of(name.begin(), name.end(), is_name_character)) {
    return fail("{}: \"{}\" may hold letters, digits and ._:@/- only", path, name);
  }
  return {};
}

bool has_control_characters(const std::string& text) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  return std::any_of(text.begin(), text.end(), is_control);
}

Result<void> check_description(const std::string& path, const std::string& text) {
  if (text.size() > kMaxDescriptionLen) return fail("{}: is longer than {} bytes", path, kMaxDescriptionLen);
  if (has_control_characters(text)) return fail("{}: holds control characters", path);
  return {};
}

Result<void> check_origin(const ConfigOrigin& origin) {
  if (origin.file.size() > kMaxOriginLen) return fail("origin: the path is longer than {} bytes", kMaxOriginLen);
  if (has_control_characters(origin.file)) return fail("origin: the path holds control characters");
  return {};
}

Result<void> check_range(const std::string& path, uint32_t value, uint32_t least, uint32_t most) {
  if (value < least || value > most) return fail("{}: {} is not within {} to {}", path, value, least, most);
  return {};
}

// Names and ids, each given once.
class Uniqueness {
 public:
  explicit Uniqueness(std::string_view list) : list_(list) {}

  Result<void> add(size_t index, const std::string& name, uint16_t id) {
    const auto [same_name, new_name] = names_.emplace(name, index);
    if (!new_name) {
      return fail("{}[{}].name: \"{}\" is the name of {}[{}] too", list_, index, name, list_, same_name->second);
    }
    const auto [same_id, new_id] = ids_.emplace(id, index);
    if (!new_id) return fail("{}[{}]: id {} is that of {}[{}] too", list_, index, id, list_, same_id->second);
    return {};
  }

 private:
  std::string_view list_;
  std::unordered_map<std::string_view, size_t> names_;
  std::unordered_map<uint16_t, size_t> ids_;
};

Result<void> check_targets(const Config& config) {
  if (config.targets.size() > kMaxTargets) {
    return fail("targets: {} are too many, at most {}", config.targets.size(), kMaxTargets);
  }
  Uniqueness unique("targets");
  for (size_t i = 0; i < config.targets.size(); ++i) {
    const Target& target = config.targets[i];
    const std::string path = fmt::format("targets[{}]", i);
    if (auto ok = check_name(path + ".name", target.name); !ok) return ok;
    if (auto ok = unique.add(i, target.name, target.id); !ok) return ok;
    if (target.id >= kMaxTargets) return fail("{}: id {} is not below {}", path, target.id, kMaxTargets);
    if (auto ok = check_range(path + ".weight", target.weight, 0, kMaxWeight); !ok) return ok;
    if (auto ok = check_description(path + ".description", target.description); !ok) return ok;
    if (target.by_hand && target.by_hand->mac && target.by_hand->mac->is_zero()) {
      return fail("{}: the MAC given by hand is that of no device", path);
    }
  }
  return {};
}

Result<void> check_vip(const std::string& path, const IpPrefix& vip) {
  if (vip.len > 128 || mask_addr(vip.addr, vip.len) != vip.addr) {
    return fail("{}: {} has bits set beyond its length", path, to_string(vip));
  }
  static const IpAddr kFirstV4 = IpAddr::v4("\0\0\0");
  if (vip.len < kV4PrefixBits && vip.contains(kFirstV4)) {
    return fail("{}: {} would take every IPv4 address too; use longer prefixes, such as 2000::/3", path,
                to_string(vip));
  }
  return {};
}

Result<void> check_listen(const std::string& path, const Listen& listen) {
  const bool has_ports =
      listen.protocol == IPPROTO_TCP || listen.protocol == IPPROTO_UDP || listen.protocol == IPPROTO_SCTP;
  if (!listen.ports.empty() && !has_ports) {
    return fail("{}.ports: only TCP, UDP and SCTP have ports, protocol {} has none", path, listen.protocol);
  }
  if (listen.protocol == IPPROTO_ICMPV6) return fail("{}.protocol: icmp stands for ICMPv6 too", path);
  if (listen.ports.size() > kMaxPortRanges) {
    return fail("{}.ports: {} are too many, at most {}", path, listen.ports.size(), kMaxPortRanges);
  }
  for (size_t i = 0; i < listen.ports.size(); ++i) {
    const PortRange& range = listen.ports[i];
    if (range.first > range.last) {
      return fail("{}.ports[{}]: \"{}-{}\" ends before it begins", path, i, range.first, range.last);
    }
  }
  return {};
}

// There may be a quarter of a million uses in all, so paths are written only for what is wrong, and one array for all
// services remembers which service named a target last.
Result<void> check_uses(const std::string& path, const Config& config, const Service& service,
                        std::vector<const Service*>& last_user) {
  if (service.targets.size() > kMaxServiceTargets) {
    return fail("{}: {} are too many, at most {}", path, service.targets.size(), kMaxServiceTargets);
  }
  for (size_t i = 0; i < service.targets.size(); ++i) {
    const TargetUse& use = service.targets[i];
    if (use.target >= config.targets.size()) return fail("{}[{}]: there is no target {}", path, i, use.target);
    if (last_user[use.target] == &service) {
      return fail("{}[{}]: \"{}\" is listed twice", path, i, config.targets[use.target].name);
    }
    last_user[use.target] = &service;
    if (use.weight && *use.weight > kMaxWeight) {
      return check_range(fmt::format("{}[{}].weight", path, i), *use.weight, 0, kMaxWeight);
    }
  }
  return {};
}

Result<void> check_timeouts(const std::string& path, const Timeouts& timeouts) {
  const std::pair<const char*, uint32_t> all[] = {
      {"tcp_syn_s", timeouts.tcp_syn_s}, {"tcp_established_s", timeouts.tcp_established_s},
      {"tcp_fin_s", timeouts.tcp_fin_s}, {"tcp_rst_s", timeouts.tcp_rst_s},
      {"udp_s", timeouts.udp_s},         {"other_s", timeouts.other_s}};
  for (const auto& [name, seconds] : all) {
    if (auto ok = check_range(fmt::format("{}.{}", path, name), seconds, 1, kMaxTimeout_s); !ok) return ok;
  }
  return {};
}

Result<void> check_table_size(const std::string& path, uint32_t size) {
  if (auto ok = check_range(path, size, kMinTableSize, kMaxTableSize); !ok) return ok;
  if (!is_prime(size)) return fail("{}: {} is not prime ({} is)", path, size, prime_at_most(size));
  return {};
}

// Rendezvous weighs every target for every entry, while a change of the configuration waits.
Result<void> check_rendezvous(const std::string& path, const Service& service) {
  const uint64_t scores = uint64_t{service.table_size} * service.targets.size();
  if (service.algorithm != Algorithm::rendezvous || scores <= kMaxRendezvousScores) return {};
  return fail("{}: {} is too large for rendezvous with {} targets, at most {}; or take maglev", path,
              service.table_size, service.targets.size(),
              prime_at_most(static_cast<uint32_t>(kMaxRendezvousScores / service.targets.size())));
}

Result<void> check_service(const std::string& path, const Config& config, const Service& service,
                           std::vector<const Service*>& last_user) {
  if (auto ok = check_name(path + ".name", service.name); !ok) return ok;
  if (service.is_default != (service.name == kDefaultServiceName)) {
    return fail("{}.name: \"{}\": the default service is called \"{}\", and no other", path, service.name,
                kDefaultServiceName);
  }
  if (service.id >= kMaxServices) return fail("{}: id {} is not below {}", path, service.id, kMaxServices);
  for (size_t i = 0; i < service.vips.size(); ++i) {
    if (auto ok = check_vip(fmt::format("{}.vips[{}]", path, i), service.vips[i]); !ok) return ok;
  }
  for (size_t i = 0; i < service.pass_vips.size(); ++i) {
    if (std::find(service.vips.begin(), service.vips.end(), service.pass_vips[i]) == service.vips.end()) {
      return fail("{}.pass_vips[{}]: {} is none of its vips", path, i, to_string(service.pass_vips[i]));
    }
  }
  if (service.listen.size() > kMaxListens) {
    return fail("{}.listen: {} are too many, at most {}", path, service.listen.size(), kMaxListens);
  }
  for (size_t i = 0; i < service.listen.size(); ++i) {
    if (auto ok = check_listen(fmt::format("{}.listen[{}]", path, i), service.listen[i]); !ok) return ok;
  }
  if (auto ok = check_uses(path + ".targets", config, service, last_user); !ok) return ok;
  if (auto ok = check_table_size(path + ".table_size", service.table_size); !ok) return ok;
  if (service.need > std::max<size_t>(service.targets.size(), 1)) {
    return fail("{}.need: {} is more than its targets, {}", path, service.need, service.targets.size());
  }
  if (auto ok = check_rendezvous(path + ".table_size", service); !ok) return ok;
  if (auto ok = check_timeouts(path + ".timeouts", service.timeouts); !ok) return ok;
  if (auto ok = check_range(path + ".flow_quota_percent", service.flow_quota_percent, 1, 100); !ok) return ok;
  if (auto ok = check_range(path + ".embryonic_quota_percent", service.embryonic_quota_percent, 1, 100); !ok) {
    return ok;
  }
  return check_description(path + ".description", service.description);
}

// --- overlaps: no packet may belong to two services -------------------------------------------------------

// One thing that a service listens to on a VIP.
struct Claim {
  IpPrefix vip;
  uint8_t protocol = kAnyProtocol;
  bool whole = true;  // the whole protocol; then `ports` means nothing
  PortRange ports;
  size_t service = 0;
  size_t vip_index = 0;

  [[nodiscard]] auto group() const { return std::tuple(vip, protocol, whole); }
  // Wide ranges before the narrow ones that they contain.
  friend bool operator<(const Claim& a, const Claim& b) {
    return std::tuple(a.group(), a.ports.first, -static_cast<int>(a.ports.last), a.service) <
           std::tuple(b.group(), b.ports.first, -static_cast<int>(b.ports.last), b.service);
  }
};

std::string describe(const Claim& claim) {
  if (claim.protocol == kAnyProtocol) return "any protocol";
  std::string protocol = claim.protocol == IPPROTO_TCP    ? "tcp"
                         : claim.protocol == IPPROTO_UDP  ? "udp"
                         : claim.protocol == IPPROTO_SCTP ? "sctp"
                                                          : fmt::format("protocol {}", claim.protocol);
  if (claim.whole) return protocol;
  if (claim.ports.first == claim.ports.last) return fmt::format("{} port {}", protocol, claim.ports.first);
  return fmt::format("{} ports {}-{}", protocol, claim.ports.first, claim.ports.last);
}

std::vector<Claim> all_claims(const Config& config) {
  std::vector<Claim> claims;
  for (size_t s = 0; s < config.services.size(); ++s) {
    const Service& service = config.services[s];
    for (size_t v = 0; v < service.vips.size(); ++v) {
      Claim claim{service.vips[v], kAnyProtocol, true, {}, s, v};
      if (service.listen.empty()) claims.push_back(claim);
      for (const Listen& listen : service.listen) {
        claim.protocol = listen.protocol;
        claim.whole = listen.ports.empty();
        claim.ports = PortRange{};
        if (claim.whole) claims.push_back(claim);
        for (const PortRange& range : listen.ports) {
          claim.ports = range;
          claims.push_back(claim);
        }
      }
    }
  }
  return claims;
}

// Two that claim the same. The default service of commands is in no file, so its place there says nothing.
Error contested(const Config& config, const Claim& claim, const Claim& other) {
  const auto is_of_commands = [&](const Claim& c) {
    return config.services[c.service].is_default && !config.origin.names_default;
  };
  if (is_of_commands(claim) != is_of_commands(other)) {
    const Claim& theirs = is_of_commands(claim) ? other : claim;
    const Claim& ours = is_of_commands(claim) ? claim : other;
    return fail(
        "{} is a VIP of service \"{}\" ({}) and of the default service ({}), which commands own: `xdplb vip del {}` "
        "takes it from there",
        to_string(theirs.vip), config.services[theirs.service].name, describe(theirs), describe(ours),
        to_string(ours.vip));
  }
  return fail("services[{}].vips[{}]: {} {} is taken by service \"{}\" too ({})", claim.service, claim.vip_index,
              to_string(claim.vip), describe(claim), config.services[other.service].name, describe(other));
}

// A range inside a wider one is the more specific of the two and wins. Two that are equal, or cut each other, are an
// error. Sorted wide before narrow, the ranges that a claim lies in form a stack.
Result<void> check_overlaps(const Config& config) {
  std::vector<Claim> claims = all_claims(config);
  std::sort(claims.begin(), claims.end());
  std::vector<const Claim*> around;
  for (const Claim& claim : claims) {
    if (!around.empty() && around.back()->group() != claim.group()) around.clear();
    while (!around.empty() && around.back()->ports.last < claim.ports.first) around.pop_back();
    if (!around.empty()) {
      const Claim& outer = *around.back();
      const bool nested = claim.ports.last <= outer.ports.last && claim.ports != outer.ports;
      if (claim.whole || !nested) return contested(config, claim, outer);
    }
    around.push_back(&claim);
  }
  return {};
}

Result<void> check_services(const Config& config) {
  if (config.services.size() > kMaxServices) {
    return fail("services: {} are too many, at most {}", config.services.size(), kMaxServices);
  }
  Uniqueness unique("services");
  std::vector<const Service*> last_user(config.targets.size(), nullptr);
  size_t addresses = 0;
  size_t prefixes = 0;
  for (size_t i = 0; i < config.services.size(); ++i) {
    const Service& service = config.services[i];
    if (auto ok = check_service(fmt::format("services[{}]", i), config, service, last_user); !ok) return ok;
    if (auto ok = unique.add(i, service.name, service.id); !ok) return ok;
    for (const IpPrefix& vip : service.vips) ++(vip.is_host() ? addresses : prefixes);
  }
  if (addresses > kMaxVips) return fail("services: {} VIPs are too many, at most {}", addresses, kMaxVips);
  if (prefixes > kMaxPrefixes) {
    return fail("services: {} VIP prefixes are too many, at most {}", prefixes, kMaxPrefixes);
  }
  return check_overlaps(config);
}

// A target that is a balancer would send every packet back.
Result<void> check_lb_tier(const LbTier& tier, const std::vector<Target>& targets) {
  if (tier.members.size() > kMaxLbTier) {
    return fail("lb_tier.members: {} are too many, at most {}", tier.members.size(), kMaxLbTier);
  }
  if (tier.members.empty()) return {};
  if (tier.own_index >= tier.members.size()) {
    return fail("lb_tier.own_index: {} is not below the number of members, {}", tier.own_index, tier.members.size());
  }
  for (size_t i = 0; i < tier.members.size(); ++i) {
    const MacAddr& mac = tier.members[i];
    if (mac.is_zero() || mac.is_multicast()) {
      return fail("lb_tier.members[{}]: {} is not the MAC of a device", i, to_string(mac));
    }
    const auto first = std::find(tier.members.begin(), tier.members.end(), mac);
    const auto first_index = static_cast<size_t>(first - tier.members.begin());
    if (first_index != i) {
      return fail("lb_tier.members[{}]: {} is lb_tier.members[{}] too", i, to_string(mac), first_index);
    }
    for (size_t t = 0; t < targets.size(); ++t) {
      if (targets[t].mac == mac || targets[t].effective_mac() == mac) {
        return fail("targets[{}].mac: {} is lb_tier.members[{}]", t, to_string(mac), i);
      }
    }
  }
  return {};
}

}  // namespace

Result<void> validate_config(const Config& config) {
  if (auto ok = check_origin(config.origin); !ok) return ok;
  if (auto ok = check_targets(config); !ok) return ok;
  if (auto ok = check_services(config); !ok) return ok;
  return check_lb_tier(config.lb_tier, config.targets);
}

}  // namespace xdplb
