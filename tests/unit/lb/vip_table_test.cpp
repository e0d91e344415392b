#include "user/lb/vip_table.h"

#include <netinet/in.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

namespace xdplb {
namespace {

Service service(uint16_t id, const std::string& name, std::vector<std::string> vips,
                std::vector<Listen> listen = {}) {
  Service s;
  s.name = name;
  s.id = id;
  for (const std::string& vip : vips) s.vips.push_back(parse_prefix(vip).value());
  s.listen = std::move(listen);
  return s;
}

IpAddr ip(const std::string& text) {
  return parse_ip(text).value();
}

TEST_CASE("the exact address beats every prefix, the longer prefix the shorter") {
  const std::vector<Service> services = {service(0, "wide", {"10.0.0.0/8"}), service(1, "narrow", {"10.1.0.0/16"}),
                                         service(2, "host", {"10.1.2.3/32", "1000::1/128"}),
                                         service(3, "six", {"1000::/64"})};
  const VipTable table = VipTable::build(services);
  CHECK(table.match(ip("10.1.2.3"), IPPROTO_TCP, 80) == 2);
  CHECK(table.match(ip("10.1.2.4"), IPPROTO_TCP, 80) == 1);
  CHECK(table.match(ip("10.2.0.0"), IPPROTO_TCP, 80) == 0);
  CHECK(table.match(ip("11.0.0.0"), IPPROTO_TCP, 80) == kNoService);
  CHECK(table.match(ip("1000::1"), IPPROTO_UDP, 0) == 2);
  CHECK(table.match(ip("1000::2"), IPPROTO_UDP, 0) == 3);
  CHECK(table.match(ip("1000:0:0:1::"), IPPROTO_UDP, 0) == kNoService);
}

TEST_CASE("addresses that differ in one place only are looked for in different places") {
  // 256 of them among 512 places: at random some place would have five or six.
  for (const char* network : {"10.0.0.0", "2001:db8::", "2001:db8:0:ffff::1"}) {
    const IpAddr base = ip(network);
    for (size_t at = base.is_v4() ? 12 : 4; at < 16; ++at) {
      INFO(network << ", byte " << at);
      std::vector<uint32_t> places(512);
      for (uint32_t value = 0; value < 256; ++value) {
        IpAddr addr = base;
        addr.bytes[at] = static_cast<uint8_t>(value);
        ++places[hash_addr(addr) >> (64 - 9)];
      }
      CHECK(*std::max_element(places.begin(), places.end()) <= 5);
    }
  }
}

TEST_CASE("what no service names belongs to the default service") {
  std::vector<Service> services = {service(4, "default", {}),
                                   service(7, "web", {"10.0.0.1/32"}, {{IPPROTO_TCP, {{80, 80}}}})};
  services[0].is_default = true;
  const VipTable table = VipTable::build(services);
  CHECK(table.match(ip("10.9.9.9"), IPPROTO_UDP, 53) == 4);
  CHECK(table.match_icmp(ip("10.9.9.9")) == 4);
  // But a VIP that is named is not the default's, whatever the port.
  CHECK(table.match(ip("10.0.0.1"), IPPROTO_TCP, 80) == 7);
  CHECK(table.match(ip("10.0.0.1"), IPPROTO_TCP, 81) == kNoService);
}

TEST_CASE("the more specific listener wins") {
  const std::vector<Service> services = {
      service(0, "any", {"10.0.0.1/32"}), service(1, "tcp", {"10.0.0.1/32"}, {{IPPROTO_TCP, {}}}),
      service(2, "range", {"10.0.0.1/32"}, {{IPPROTO_TCP, {{5000, 5010}, {65535, 65535}}}}),
      service(3, "port", {"10.0.0.1/32"}, {{IPPROTO_TCP, {{5001, 5001}}}, {IPPROTO_SCTP, {{7, 7}}}})};
  const VipTable table = VipTable::build(services);
  const IpAddr vip = ip("10.0.0.1");
  CHECK(table.match(vip, IPPROTO_TCP, 5001) == 3);
  CHECK(table.match(vip, IPPROTO_TCP, 5000) == 2);
  CHECK(table.match(vip, IPPROTO_TCP, 5010) == 2);
  CHECK(table.match(vip, IPPROTO_TCP, 5011) == 1);
  CHECK(table.match(vip, IPPROTO_TCP, 0) == 1);
  CHECK(table.match(vip, IPPROTO_TCP, 65535) == 2);
  CHECK(table.match(vip, IPPROTO_UDP, 5001) == 0);
  CHECK(table.match(vip, IPPROTO_SCTP, 7) == 3);
  CHECK(table.match(vip, IPPROTO_ESP, 0) == 0);
}

TEST_CASE("ICMP goes to who listens to it, else to the first service by name") {
  const std::vector<Service> services = {
      service(0, "web", {"10.0.0.1/32"}, {{IPPROTO_TCP, {{80, 80}}}}),
      service(1, "dns", {"10.0.0.1/32", "10.0.0.2/32"}, {{IPPROTO_UDP, {{53, 53}}}}),
      service(2, "ping", {"10.0.0.2/32"}, {{IPPROTO_ICMP, {}}})};
  const VipTable table = VipTable::build(services);
  CHECK(table.match_icmp(ip("10.0.0.1")) == 1);
  CHECK(table.match_icmp(ip("10.0.0.2")) == 2);
  CHECK(table.match(ip("10.0.0.2"), IPPROTO_ICMPV6, 0) == 2);
}

// The rule, written down again without any of the structures: the oracle of the random test below.
uint16_t slow_match(const std::vector<Service>& services, const IpAddr& dst, uint8_t protocol, uint16_t port) {
  int best_len = -1;
  for (const Service& s : services) {
    for (const IpPrefix& vip : s.vips) {
      if (vip.contains(dst)) best_len = std::max<int>(best_len, vip.len);
    }
  }
  uint32_t best_width = 1u << 20;
  bool best_names = false;
  uint16_t best = kNoService;
  for (const Service& s : services) {
    const bool there = std::any_of(s.vips.begin(), s.vips.end(),
                                   [&](const IpPrefix& vip) { return vip.len == best_len && vip.contains(dst); });
    if (!there) continue;
    for (const Listen& l : s.listen) {
      if (l.protocol != protocol && l.protocol != kAnyProtocol) continue;
      for (const PortRange& r : l.ports) {
        if (port < r.first || port > r.last) continue;
        const uint32_t width = uint32_t{r.last} - r.first;
        const bool names = l.protocol == protocol;
        if (width < best_width || (width == best_width && names && !best_names)) {
          best_width = width;
          best_names = names;
          best = s.id;
        }
      }
    }
  }
  return best;
}

TEST_CASE("random tables agree with a linear search") {
  std::mt19937 random(7);
  const auto pick = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  for (int round = 0; round < 50; ++round) {
    std::vector<Service> services;
    for (uint16_t id = 0; id < 30; ++id) {
      Service s = service(id, "s" + std::to_string(id), {});
      const uint8_t len = static_cast<uint8_t>(112 + pick(17));
      const uint8_t last = static_cast<uint8_t>(pick(8));
      const uint8_t quad[4] = {10, 0, static_cast<uint8_t>(pick(2)), last};
      s.vips.push_back({mask_addr(IpAddr::v4(quad), len), len});
      const uint16_t first = static_cast<uint16_t>(pick(50));
      s.listen.push_back({static_cast<uint8_t>(pick(2) != 0 ? IPPROTO_TCP : IPPROTO_UDP),
                          {{first, static_cast<uint16_t>(first + pick(50))}}});
      services.push_back(std::move(s));
    }
    const VipTable table = VipTable::build(services);
    for (int probe = 0; probe < 300; ++probe) {
      const uint8_t quad[4] = {10, 0, static_cast<uint8_t>(pick(3)), static_cast<uint8_t>(pick(10))};
      const IpAddr dst = IpAddr::v4(quad);
      const uint8_t protocol = pick(2) != 0 ? IPPROTO_TCP : IPPROTO_UDP;
      const uint16_t port = static_cast<uint16_t>(pick(120));
      REQUIRE(table.match(dst, protocol, port) == slow_match(services, dst, protocol, port));
    }
  }
}

}  // namespace
}  // namespace xdplb
