#include "user/path/vip_rules.h"

#include <netinet/in.h>

#include <algorithm>
#include <memory>

#include "user/base/hash.h"

namespace xdplb {
namespace {

// What the services of one VIP add up to.
struct Claims {
  bool pass = true;
  bool everything = false;                // some service takes every protocol and port
  std::unique_ptr<xdplb_portset> listen;  // 24 KiB, and most VIPs need none
};

void set_bit(__u64* words, uint32_t bit) {
  words[bit / 64] |= __u64{1} << (bit % 64);
}

__u64* ports_of(xdplb_portset& set, uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP: return set.tcp_ports;
    case IPPROTO_UDP: return set.udp_ports;
    default: return set.sctp_ports;
  }
}

void add_service(const Service& service, Claims& claims) {
  claims.everything |= service.listen.empty();
  for (const Listen& listen : service.listen) claims.everything |= listen.protocol == kAnyProtocol;
  if (claims.everything) return;
  if (claims.listen == nullptr) claims.listen = std::make_unique<xdplb_portset>();
  for (const Listen& listen : service.listen) {
    if (listen.ports.empty()) set_bit(claims.listen->protocols, listen.protocol);
    for (const PortRange& range : listen.ports) {
      for (uint32_t port = range.first; port <= range.last; ++port) {
        set_bit(ports_of(*claims.listen, listen.protocol), port);
      }
    }
  }
}

// The number of a port set is made of its contents: what an entry of the map means never changes, so a VIP that is
// moved from one set to another has either the old ports or the new ones, and nothing in between.
uint32_t add_portset(const xdplb_portset& set, PortSets& sets) {
  auto id = static_cast<uint32_t>(hash_bytes(&set, sizeof set, 0));
  while (id == 0 || (sets.count(id) != 0 && std::memcmp(&sets[id], &set, sizeof set) != 0)) ++id;
  sets[id] = set;
  return id;
}

}  // namespace

bool has_usable_target(const Config& config, const Service& service) {
  return std::any_of(service.targets.begin(), service.targets.end(), [&](const TargetUse& use) {
    const Target& target = config.targets[use.target];
    return target.has_mac() && target.effective_state() != TargetState::down;
  });
}

KernelVips kernel_vips(const Config& config) {
  std::map<IpPrefix, Claims> claims;
  for (const Service& service : config.services) {
    if (service.on_empty == OnEmpty::pass && !has_usable_target(config, service)) continue;
    for (const IpPrefix& vip : service.vips) {
      Claims& of = claims[vip];
      of.pass &= falls_back_to_pass(service, vip);
      add_service(service, of);
    }
  }
  KernelVips vips;
  for (const auto& [prefix, of] : claims) {
    VipRule rule;
    rule.fallback = of.pass ? XDPLB_FALLBACK_PASS : XDPLB_FALLBACK_DROP;
    // Beyond the map's size the rest take every port: the service that a packet belongs to is decided in user space.
    const bool has_room = vips.portsets.size() < XDPLB_MAX_PORTSETS / 2;
    if (!of.everything && has_room) rule.portset = add_portset(*of.listen, vips.portsets);
    vips.rules.emplace(prefix, rule);
  }
  return vips;
}

}  // namespace xdplb
