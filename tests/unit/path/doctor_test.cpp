// The doctor's rules, over facts made up: each thing that is wrong gives its finding, and no other.
#include "user/path/doctor.h"

#include <linux/if.h>

#include <catch2/catch.hpp>
#include <functional>

#include "user/ctl/netdev_features.h"

namespace xdplb {
namespace {

LinkInfo link(const char* name, uint32_t ifindex) {
  LinkInfo l;
  l.name = name;
  l.ifindex = ifindex;
  l.mtu = 1500;
  l.flags = IFF_UP | IFF_LOWER_UP | IFF_RUNNING;
  return l;
}

DeviceFacts device(const char* name, uint32_t ifindex) {
  DeviceFacts d;
  d.link = link(name, ifindex);
  d.channels = {2, 2};
  d.driver = "ice";
  d.xdp_features = kXdpFeatureTransmit | kXdpFeatureZeroCopy | 1;
  d.offloads = Offloads{false, false, true};
  d.udp4_ports_hashed = d.udp6_ports_hashed = true;
  return d;
}

BalancerFacts good_balancer() {
  BalancerFacts facts;
  facts.kernel = "6.1.0-18-amd64";
  facts.has_bpffs = true;
  facts.ingress = {device("eth2", 3)};
  facts.egress = device("eth1", 2);
  facts.link_names = {{1, "lo"}, {2, "eth1"}, {3, "eth2"}};
  facts.addresses = {{2, {parse_ip("192.168.1.201").value(), 120}}};
  facts.vips = {parse_prefix("10.0.0.0/32").value()};
  facts.cores = 4;
  facts.may_lock_memory = true;
  facts.transparent_huge_pages = true;
  return facts;
}

ServerFacts good_server() {
  ServerFacts facts;
  facts.device = link("eth1", 2);
  facts.link_names = {{1, "lo"}, {2, "eth1"}};
  facts.vips = {parse_ip("10.0.0.0").value(), parse_ip("1000::").value()};
  for (const IpAddr& vip : facts.vips) facts.addresses.push_back({1, {vip, 128}});
  facts.arp_ignore = 1;
  facts.arp_announce = 2;
  facts.default4 = facts.default6 = "eth1";
  return facts;
}

std::vector<Finding> wrong(const std::vector<Finding>& findings) {
  std::vector<Finding> rest;
  for (const Finding& f : findings) {
    if (f.severity != Severity::ok) {
      CHECK_FALSE(f.why.empty());
      rest.push_back(f);
    }
  }
  return rest;
}

struct BalancerCase {
  const char* name;
  std::function<void(BalancerFacts&)> spoil;
  const char* check;
  Severity severity;
  const char* mend;  // how it begins
};

const BalancerCase kBalancerCases[] = {
    {"old kernel", [](auto& f) { f.kernel = "5.10.0-28"; }, "kernel", Severity::error, ""},
    {"no kernel version at all", [](auto& f) { f.kernel = ""; }, "kernel", Severity::error, ""},
    {"not root", [](auto& f) { f.missing_capabilities = {"CAP_BPF"}; }, "capabilities", Severity::error,
     "run as root"},
    {"no BPF", [](auto& f) { f.bpf_error = "Operation not permitted"; }, "bpf", Severity::error, ""},
    {"no AF_XDP", [](auto& f) { f.xdp_socket_error = "x"; }, "af_xdp", Severity::error, ""},
    {"no bpffs", [](auto& f) { f.has_bpffs = false; }, "bpffs", Severity::error, "mount -t bpf"},
    {"bond", [](auto& f) { f.ingress[0].link.kind = "bond"; }, "link", Severity::error, "give the devices below"},
    {"down", [](auto& f) { f.egress.link.flags = 0; }, "link", Severity::error, "ip link set dev eth1 up"},
    {"no carrier", [](auto& f) { f.egress.link.flags = IFF_UP; }, "link", Severity::error, ""},
    {"generic only", [](auto& f) { f.ingress[0].xdp_features = 0; }, "driver", Severity::warning, ""},
    {"too many queues", [](auto& f) { f.ingress[0].channels.rx = 65; }, "queues", Severity::error,
     "ethtool -L eth2 combined 64"},
    {"few cores", [](auto& f) { f.cores = 1; }, "queues", Severity::warning, "ethtool -L eth2 combined 1"},
    {"gro", [](auto& f) { f.ingress[0].offloads->gro = true; }, "offloads", Severity::warning,
     "ethtool -K eth2 gro off"},
    {"lro", [](auto& f) { f.ingress[0].offloads->lro = true; }, "offloads", Severity::error,
     "ethtool -K eth2 lro off"},
    {"rxvlan", [](auto& f) { f.ingress[0].has_vlans = true; }, "offloads", Severity::warning,
     "ethtool -K eth2 rxvlan off"},
    {"small egress", [](auto& f) { f.egress.link.mtu = 1400; }, "mtu", Severity::error,
     "ip link set dev eth1 mtu 1500"},
    {"jumbo", [](auto& f) { f.ingress[0].link.mtu = f.egress.link.mtu = 9000; }, "mtu", Severity::warning,
     "ip link set dev eth2 mtu 1500"},
    {"own address is a VIP",
     [](auto& f) {
       f.addresses.push_back({2, {parse_ip("10.0.0.0").value(), 128}});
     },
     "vips", Severity::error, "ip addr del 10.0.0.0/32 dev eth1"},
    {"UDP ports not hashed", [](auto& f) { f.ingress[0].udp6_ports_hashed = false; }, "rss", Severity::warning,
     "ethtool -N eth2 rx-flow-hash udp6 sdfn"},
    {"memlock", [](auto& f) { f.may_lock_memory = false; }, "memory", Severity::error, "ulimit -l"},
    {"small pages", [](auto& f) { f.transparent_huge_pages = false; }, "memory", Severity::warning,
     "sysctl -w vm.nr"},
    {"forwarding", [](auto& f) { f.forwards_ipv4 = true; }, "forwarding", Severity::warning,
     "sysctl -w net.ipv4.ip_forward=0"},
    {"forwarding IPv6", [](auto& f) { f.forwards_ipv6 = true; }, "forwarding", Severity::warning,
     "sysctl -w net.ipv6.conf.all.forwarding=0"},
    {"irqbalance", [](auto& f) { f.irqbalance_runs = true; }, "interrupts", Severity::warning, "systemctl"},
};

struct ServerCase {
  const char* name;
  std::function<void(ServerFacts&)> spoil;
  const char* check;
  const char* mend;
};

const ServerCase kServerCases[] = {
    {"down", [](auto& f) { f.device.flags = 0; }, "device", "ip link set dev eth1 up"},
    {"VIP missing", [](auto& f) { f.addresses.pop_back(); }, "vip", "ip addr add 1000::/128 dev lo"},
    {"VIP on the segment",
     [](auto& f) {
       f.addresses.push_back({2, {f.vips[0], 120}});
     },
     "vip", "ip addr del 10.0.0.0/24 dev eth1"},
    {"no VIP", [](auto& f) { f.vips.clear(); }, "vip", "ip addr add VIP/32 dev lo"},
    {"arp_ignore", [](auto& f) { f.arp_ignore = 0; }, "arp_ignore", "sysctl -w net.ipv4.conf.all.arp_ignore=1"},
    {"arp_announce", [](auto& f) { f.arp_announce = 1; }, "arp_announce",
     "sysctl -w net.ipv4.conf.all.arp_announce=2"},
    {"strict, and another way back",
     [](auto& f) {
       f.rp_filter = 1;
       f.default4 = "eth0";
     },
     "rp_filter", "sysctl -w net.ipv4.conf.eth1.rp_filter=2"},
    {"no IPv4 way back", [](auto& f) { f.default4 = ""; }, "way back", "ip route replace default via"},
    {"no IPv6 way back", [](auto& f) { f.default6 = ""; }, "way back", "ip -6 route replace default via"},
};

}  // namespace

TEST_CASE("doctor: a good balancer and a good server have nothing wrong, and every check says so") {
  CHECK(wrong(check_balancer(good_balancer())).empty());
  CHECK(check_balancer(good_balancer()).size() >= 15);
  CHECK(wrong(check_server(good_server())).empty());
  CHECK(check_server(good_server()).size() >= 6);
}

TEST_CASE("doctor: what is wrong with a balancer, one by one") {
  for (const BalancerCase& c : kBalancerCases) {
    INFO(c.name);
    BalancerFacts facts = good_balancer();
    c.spoil(facts);
    const auto found = wrong(check_balancer(facts));
    REQUIRE(found.size() == 1);
    CHECK(found[0].check == c.check);
    CHECK(found[0].severity == c.severity);
    CHECK(found[0].mend.starts_with(c.mend));
    CHECK(found[0].mend.empty() == (*c.mend == '\0'));
  }
}

TEST_CASE("doctor: what is wrong with a server, one by one") {
  for (const ServerCase& c : kServerCases) {
    INFO(c.name);
    ServerFacts facts = good_server();
    c.spoil(facts);
    const auto found = wrong(check_server(facts));
    REQUIRE(found.size() == 1);
    CHECK(found[0].check == c.check);
    CHECK(found[0].severity == Severity::error);
    CHECK(found[0].mend.starts_with(c.mend));
  }
}

TEST_CASE("doctor: what is no fault") {
  BalancerFacts facts = good_balancer();
  facts.egress = facts.ingress[0];  // one-arm
  facts.ingress[0].channels.rx = facts.egress.channels.rx = 1;
  facts.ingress[0].udp4_ports_hashed = false;  // one queue: nothing to spread
  facts.ingress[0].xdp_features = facts.egress.xdp_features = std::nullopt;
  facts.ingress[0].offloads = std::nullopt;
  facts.vips.clear();
  CHECK(wrong(check_balancer(facts)).empty());

  ServerFacts server = good_server();
  server.rp_filter = 1;  // answers leave by the device that requests come in on
  CHECK(wrong(check_server(server)).empty());
  server.vips.erase(server.vips.begin());  // IPv6 alone: ARP matters not
  server.arp_ignore = server.arp_announce = 0;
  server.default4 = "";
  CHECK(wrong(check_server(server)).empty());
}

}  // namespace xdplb
