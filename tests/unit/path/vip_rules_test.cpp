#include "user/path/vip_rules.h"

#include <netinet/in.h>

#include <catch2/catch.hpp>

#include "tests/support/packet.h"
#include "user/path/kernel_model.h"

namespace xdplb {
namespace {

using test::operator+;

constexpr const char* kVip = "10.0.0.0/24";

// One service for each list of listeners, all on one VIP, with one target each.
Config services(const std::vector<std::vector<Listen>>& listens) {
  Config config;
  for (const auto& listen : listens) {
    Service service;
    service.name = "s" + std::to_string(config.services.size());
    service.vips = {parse_prefix(kVip).value()};
    service.listen = listen;
    service.targets = {{static_cast<uint32_t>(config.targets.size()), {}}};
    config.services.push_back(service);
    Target target;
    target.name = "t" + std::to_string(config.targets.size());
    target.mac = MacAddr{{2, 0, 0, 0, 0, static_cast<uint8_t>(config.targets.size() + 1)}};
    config.targets.push_back(target);
  }
  REQUIRE(assign_identities(Config{}, config));
  return config;
}

Listen ports(uint8_t protocol, std::vector<PortRange> ranges) {
  return {protocol, std::move(ranges)};
}

// To 10.0.0.0, which is in the VIP.
KernelVerdict udp_to(const Config& config, uint16_t port) {
  const test::Bytes frame = test::ether(0x0800) + test::ipv4(IPPROTO_UDP, test::udp(1000, port, test::fill(8)));
  return KernelModel(kernel_vips(config)).judge(frame);
}

TEST_CASE("a service without listeners takes every protocol and port") {
  const KernelVips vips = kernel_vips(services({{}, {ports(IPPROTO_UDP, {{53, 53}})}}));
  REQUIRE(vips.rules.size() == 1);
  CHECK(vips.rules.begin()->second.portset == 0);
  CHECK(vips.portsets.empty());
}

TEST_CASE("services that share a VIP add up their ports, and the rest is the kernel's") {
  const Config config = services({{ports(IPPROTO_UDP, {{53, 53}, {5000, 5010}})}, {ports(IPPROTO_TCP, {{80, 80}})}});
  for (const uint16_t port : std::initializer_list<uint16_t>{53, 5000, 5010})
    CHECK(udp_to(config, port) == KernelVerdict::redirect);
  for (const uint16_t port : std::initializer_list<uint16_t>{0, 52, 54, 80, 4999, 5011, 65535})
    CHECK(udp_to(config, port) == KernelVerdict::no_listen);
}

TEST_CASE("the last port and a whole protocol are taken") {
  CHECK(udp_to(services({{ports(IPPROTO_UDP, {{65535, 65535}})}}), 65535) == KernelVerdict::redirect);
  CHECK(udp_to(services({{ports(IPPROTO_UDP, {})}}), 1) == KernelVerdict::redirect);
  CHECK(udp_to(services({{ports(IPPROTO_TCP, {})}}), 1) == KernelVerdict::no_listen);
}

TEST_CASE("equal port sets are one, different ones are two, and their numbers last") {
  Config config = services({{ports(IPPROTO_UDP, {{53, 53}})}, {ports(IPPROTO_UDP, {{53, 53}})}});
  config.services[1].vips = {parse_prefix("10.0.1.0/24").value()};
  const KernelVips one = kernel_vips(config);
  REQUIRE(one.portsets.size() == 1);
  config.services[1].listen[0].ports[0].last = 54;
  const KernelVips two = kernel_vips(config);
  REQUIRE(two.portsets.size() == 2);
  CHECK(two.portsets.count(one.portsets.begin()->first) == 1);
  for (const auto& [number, set] : two.portsets) CHECK(number != 0);
}

TEST_CASE("on_empty pass: without a usable target the VIP is the kernel's, with one it is ours again") {
  Config config = services({{ports(IPPROTO_UDP, {{53, 53}})}});
  config.services[0].on_empty = OnEmpty::pass;
  CHECK(udp_to(config, 53) == KernelVerdict::redirect);
  config.targets[0].state = TargetState::draining;
  CHECK(udp_to(config, 53) == KernelVerdict::redirect);
  config.targets[0].state = TargetState::down;
  CHECK(kernel_vips(config).rules.empty());
  CHECK(udp_to(config, 53) == KernelVerdict::not_ours);
  config.services[0].on_empty = OnEmpty::drop;
  CHECK(udp_to(config, 53) == KernelVerdict::redirect);
  config.services[0].on_empty = OnEmpty::pass;
  config.targets[0].state = TargetState::active;
  config.targets[0].mac = MacAddr{};
  CHECK(udp_to(config, 53) == KernelVerdict::not_ours);
}

TEST_CASE("on_empty pass takes away a service's ports alone where another has the VIP too") {
  Config config = services({{ports(IPPROTO_UDP, {{53, 53}})}, {ports(IPPROTO_UDP, {{54, 54}})}});
  config.services[0].on_empty = OnEmpty::pass;
  config.targets[0].state = TargetState::down;
  CHECK(udp_to(config, 53) == KernelVerdict::no_listen);
  CHECK(udp_to(config, 54) == KernelVerdict::redirect);
}

}  // namespace
}  // namespace xdplb
