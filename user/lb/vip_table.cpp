#include "user/lb/vip_table.h"

#include <netinet/in.h>

#include <algorithm>
#include <bit>
#include <map>

namespace xdplb {

IpAddr mask_addr(const IpAddr& addr, uint8_t len) {
  IpAddr masked;
  const size_t whole = len / 8;
  std::memcpy(masked.bytes.data(), addr.bytes.data(), whole);
  if (len % 8 != 0) {
    masked.bytes[whole] = static_cast<uint8_t>(addr.bytes[whole] & (0xff00u >> (len % 8)));
  }
  return masked;
}

const VipTable::Vip* VipTable::find_prefix(const IpAddr& dst) const {
  for (const AddressSet& set : prefixes_) {
    if (const Vip* vip = probe(set, mask_addr(dst, set.prefix_len))) return vip;
  }
  return nullptr;
}

uint16_t VipTable::match_listeners(const Listeners& l, uint8_t protocol, uint16_t port) {
  const std::vector<Segment>* segments = nullptr;
  switch (protocol) {
    case IPPROTO_TCP: segments = &l.tcp; break;
    case IPPROTO_UDP: segments = &l.udp; break;
    case IPPROTO_SCTP: segments = &l.sctp; break;
    default: return l.by_protocol[protocol];
  }
  const auto after = std::upper_bound(segments->begin(), segments->end(), port,
                                      [](uint16_t p, const Segment& s) { return p < s.first; });
  return std::prev(after)->service;
}

uint16_t VipTable::match_icmp(const IpAddr& dst) const {
  const Vip* vip = find(dst);
  if (vip == nullptr) return default_service_;
  if (vip->sole_service != kNoService) return vip->sole_service;
  return listeners_[vip->listeners].icmp;
}

// Collects the services of each VIP and flattens their listeners.
class VipTableBuilder {
 public:
  explicit VipTableBuilder(std::span<const Service> services) : services_(services) {}

  VipTable build() {
    std::map<IpPrefix, std::vector<const Service*>> by_vip;
    for (const Service& service : services_) {
      if (service.is_default) table_.default_service_ = service.id;
      for (const IpPrefix& vip : service.vips) by_vip[vip].push_back(&service);
    }
    // Prefix lengths in use, longest first; the exact addresses have a set of their own.
    std::map<uint8_t, uint32_t, std::greater<>> sizes;
    for (const auto& entry : by_vip) ++sizes[entry.first.len];
    table_.exact_ = make_set(sizes.count(128) != 0 ? sizes[128] : 0, 128);
    for (const auto& size : sizes) {
      if (size.first != 128) table_.prefixes_.push_back(make_set(size.second, size.first));
    }
    for (const auto& entry : by_vip) insert(entry.first, entry.second);
    return std::move(table_);
  }

 private:
  static VipTable::AddressSet make_set(uint32_t entries, uint8_t prefix_len) {
    VipTable::AddressSet set;
    set.slots.resize(std::bit_ceil(std::max(2u, entries * 2)));
    set.mask = static_cast<uint32_t>(set.slots.size() - 1);
    set.shift = 64 - static_cast<uint32_t>(std::countr_zero(set.slots.size()));
    set.prefix_len = prefix_len;
    return set;
  }

  VipTable::AddressSet& set_for(uint8_t len) {
    if (len == 128) return table_.exact_;
    return *std::find_if(table_.prefixes_.begin(), table_.prefixes_.end(),
                         [len](const VipTable::AddressSet& s) { return s.prefix_len == len; });
  }

  void insert(const IpPrefix& prefix, const std::vector<const Service*>& services) {
    VipTable::AddressSet& set = set_for(prefix.len);
    uint32_t i = set.first_slot(prefix.addr);
    while (set.slots[i].used) i = (i + 1) & set.mask;
    VipTable::Vip& vip = set.slots[i];
    vip.addr = prefix.addr;
    vip.used = 1;
    if (services.size() == 1 && services[0]->listen.empty()) {
      vip.sole_service = services[0]->id;
      return;
    }
    vip.listeners = static_cast<uint32_t>(table_.listeners_.size());
    table_.listeners_.push_back(flatten(services));
  }

  // One claim of a service on a range of ports. A narrower one beats a wider one; one that names the protocol beats
  // one that takes any.
  struct Claim {
    uint32_t first, last;
    bool names_protocol;
    uint16_t service;
    [[nodiscard]] uint32_t width() const { return last - first; }
  };

  static std::vector<Claim> claims_of(const std::vector<const Service*>& services, uint8_t protocol) {
    std::vector<Claim> claims;
    for (const Service* service : services) {
      if (service->listen.empty()) claims.push_back({0, 65535, false, service->id});
      for (const Listen& listen : service->listen) {
        if (listen.protocol != protocol && listen.protocol != kAnyProtocol) continue;
        const bool names = listen.protocol == protocol;
        if (listen.ports.empty()) claims.push_back({0, 65535, names, service->id});
        for (const PortRange& r : listen.ports) claims.push_back({r.first, r.last, names, service->id});
      }
    }
    std::stable_sort(claims.begin(), claims.end(), [](const Claim& a, const Claim& b) {
      return a.width() != b.width() ? a.width() < b.width() : a.names_protocol && !b.names_protocol;
    });
    return claims;
  }

  static std::vector<VipTable::Segment> segments_of(const std::vector<const Service*>& services, uint8_t protocol) {
    const std::vector<Claim> claims = claims_of(services, protocol);
    std::vector<uint32_t> edges = {0};
    for (const Claim& claim : claims) {
      edges.push_back(claim.first);
      if (claim.last < 65535) edges.push_back(claim.last + 1);
    }
    std::sort(edges.begin(), edges.end());
    edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
    std::vector<VipTable::Segment> segments;
    for (const uint32_t edge : edges) {
      const auto winner = std::find_if(claims.begin(), claims.end(), [edge](const Claim& claim) {
        return claim.first <= edge && edge <= claim.last;
      });
      const uint16_t service = winner == claims.end() ? kNoService : winner->service;
      if (segments.empty() || segments.back().service != service) {
        segments.push_back({static_cast<uint16_t>(edge), service});
      }
    }
    return segments;
  }

  static VipTable::Listeners flatten(const std::vector<const Service*>& services) {
    VipTable::Listeners l;
    l.tcp = segments_of(services, IPPROTO_TCP);
    l.udp = segments_of(services, IPPROTO_UDP);
    l.sctp = segments_of(services, IPPROTO_SCTP);
    l.by_protocol.assign(256, kNoService);
    for (uint32_t protocol = 1; protocol < 256; ++protocol) {
      // ICMPv6 is listened to under ICMP's name.
      const auto named = static_cast<uint8_t>(protocol == IPPROTO_ICMPV6 ? unsigned{IPPROTO_ICMP} : protocol);
      const std::vector<Claim> claims = claims_of(services, named);
      if (!claims.empty()) l.by_protocol[protocol] = claims.front().service;
    }
    l.icmp = l.by_protocol[IPPROTO_ICMP];
    if (l.icmp == kNoService) {
      const auto first = std::min_element(services.begin(), services.end(),
                                          [](const Service* a, const Service* b) { return a->name < b->name; });
      l.icmp = (*first)->id;
    }
    return l;
  }

  std::span<const Service> services_;
  VipTable table_;
};

VipTable VipTable::build(std::span<const Service> services) {
  return VipTableBuilder(services).build();
}

}  // namespace xdplb
