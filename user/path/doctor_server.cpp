#include <algorithm>

#include "user/path/doctor_findings.h"

namespace xdplb {
namespace {

const std::string& name_of(const ServerFacts& facts, uint32_t ifindex) {
  static const std::string unknown = "?";
  const auto found = facts.link_names.find(ifindex);
  return found == facts.link_names.end() ? unknown : found->second;
}

bool has_family(const ServerFacts& facts, bool ipv4) {
  return std::any_of(facts.vips.begin(), facts.vips.end(), [&](const IpAddr& vip) { return vip.is_v4() == ipv4; });
}

void check_device(const ServerFacts& facts, Findings& f) {
  const LinkInfo& link = facts.device;
  if (!link.is_up()) {
    return f.error(fmt::format("{} is down", link.name), "requests come in on it",
                   fmt::format("ip link set dev {} up", link.name));
  }
  f.ok(fmt::format("{} is up; its MAC for `xdplb activate`: {}", link.name, to_string(link.mac)));
}

void check_vips(const ServerFacts& facts, Findings& f) {
  if (facts.vips.empty()) {
    return f.error("no VIP: none lies on lo, and none was named", "the server drops what is not addressed to it",
                   "ip addr add VIP/32 dev lo");
  }
  for (const IpAddr& vip : facts.vips) {
    const std::string address = fmt::format("{}/{}", to_string(vip), vip.is_v4() ? 32 : 128);
    bool on_lo = false;
    for (const LinkAddress& own : facts.addresses) {
      if (own.prefix.addr != vip) continue;
      const std::string& device = name_of(facts, own.ifindex);
      on_lo |= device == "lo";
      if (device == "lo") continue;
      f.error(fmt::format("VIP {} is an address of {}", to_string(vip), device),
              "there the server answers for it, and the segment bypasses the balancer",
              fmt::format("ip addr del {} dev {}", to_string(own.prefix), device));
    }
    if (on_lo) {
      f.ok(fmt::format("VIP {} is on lo", to_string(vip)));
    } else {
      f.error(fmt::format("VIP {} is not on lo", to_string(vip)), "the server drops what is not addressed to it",
              fmt::format("ip addr add {} dev lo", address));
    }
  }
}

void check_arp_ignore(const ServerFacts& facts, Findings& f) {
  if (!has_family(facts, true)) return f.ok("no IPv4 VIP");
  if (facts.arp_ignore >= 1) return f.ok(fmt::format("arp_ignore is {}", facts.arp_ignore));
  f.error("arp_ignore is 0", "the server answers ARP for the VIP on its device: the router sends to it directly",
          "sysctl -w net.ipv4.conf.all.arp_ignore=1");
}

void check_arp_announce(const ServerFacts& facts, Findings& f) {
  if (!has_family(facts, true)) return f.ok("no IPv4 VIP");
  if (facts.arp_announce >= 2) return f.ok("arp_announce is 2");
  f.error(fmt::format("arp_announce is {}", facts.arp_announce),
          "the server asks by ARP with the VIP as its source, and neighbours learn that as its owner",
          "sysctl -w net.ipv4.conf.all.arp_announce=2");
}

// Strict: what would not be answered by the device that it came in on is dropped.
void check_rp_filter(const ServerFacts& facts, Findings& f) {
  constexpr int kStrict = 1;
  const std::string& device = facts.device.name;
  if (!has_family(facts, true)) return f.ok("no IPv4 VIP");
  if (facts.rp_filter != kStrict) return f.ok(fmt::format("rp_filter is {}", facts.rp_filter));
  if (facts.default4 == device) return f.ok(fmt::format("rp_filter is strict, and answers leave by {}", device));
  f.error(
      "rp_filter is 1, strict",
      fmt::format("requests come in on {}, answers leave by another device: the kernel drops the requests", device),
      fmt::format("sysctl -w net.ipv4.conf.{}.rp_filter=2", device));
}

void check_way_back(const ServerFacts& facts, Findings& f) {
  for (const bool ipv4 : {true, false}) {
    const std::string& device = ipv4 ? facts.default4 : facts.default6;
    const char* const ip = ipv4 ? "ip" : "ip -6";
    const char* const family = ipv4 ? "IPv4" : "IPv6";
    if (!has_family(facts, ipv4)) continue;
    if (!device.empty()) {
      f.ok(fmt::format("{} default route by {}", family, device));
    } else {
      f.error(fmt::format("no {} default route", family),
              "answers go to the clients directly, past the balancer: without a way they are lost",
              fmt::format("{} route replace default via ROUTER", ip));
    }
  }
}

constexpr Check<ServerFacts> kChecks[] = {
    {"device", check_device},         {"vip", check_vips},
    {"arp_ignore", check_arp_ignore}, {"arp_announce", check_arp_announce},
    {"rp_filter", check_rp_filter},   {"way back", check_way_back},
};

}  // namespace

std::vector<Finding> check_server(const ServerFacts& facts) {
  return run_checks(kChecks, facts);
}

}  // namespace xdplb
