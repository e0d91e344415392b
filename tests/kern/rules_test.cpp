// A configuration in the kernel: what vip_rules says of it, put into the maps by BpfMaps as the daemon does, makes
// the program take what KernelModel says that it takes, which is what `replay` goes by.
#include <netinet/in.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/kern/vip_rig.h"
#include "user/path/kernel_model.h"
#include "user/path/vip_rules.h"

namespace xdplb {
namespace {

using namespace frames;

Config config_of(const std::vector<Listen>& listen, const std::vector<const char*>& vips = {"10.0.0.0", "1000::"}) {
  Config config;
  Target target;
  target.name = "a";
  target.mac = MacAddr{{2, 0, 0, 0, 0, 1}};
  config.targets = {target};
  Service service;
  service.name = "s";
  for (const char* vip : vips) service.vips.push_back(parse_prefix(vip).value());
  service.listen = listen;
  service.targets = {{0, {}}};
  config.services = {service};
  REQUIRE(assign_identities(Config{}, config));
  REQUIRE(validate_config(config));
  return config;
}

// The program with the maps as the daemon has them: a queue is armed.
class RulesRig {
 public:
  explicit RulesRig(const Config& config) : maps_(BpfMaps::of_program(rig_.program_fd()).value()) {
    rig_.arm(0, test_devices().first, 0);
    use(config);
  }
  void use(const Config& config) {
    const auto set = maps_.set_vips(kernel_vips(config));
    INFO((set ? "" : set.error().message));
    REQUIRE(set);
  }
  [[nodiscard]] Verdict run(const Bytes& frame) const { return rig_.run(frame); }
  [[nodiscard]] uint64_t other_port() const { return rig_.count(XDPLB_COUNT_OTHER_PORT); }

 private:
  VipRig rig_;
  BpfMaps maps_;
};

Bytes to_vip(uint8_t protocol, uint16_t port, const char* vip = "10.0.0.0") {
  return ether(0x0800, ipv4(vip, protocol, transport(port)));
}

std::vector<Bytes> packet_cases() {
  std::ifstream file("tests/support/packet_cases.json");
  REQUIRE(file);
  std::vector<Bytes> all;
  for (const auto& test : nlohmann::json::parse(file)) {
    const auto hex = test["frame"].get<std::string>();
    Bytes frame;
    for (size_t i = 0; i + 1 < hex.size(); i += 2) {
      frame.push_back(static_cast<uint8_t>(std::stoul(hex.substr(i, 2), nullptr, 16)));
    }
    if (frame.size() >= 14) all.push_back(frame);  // the kernel takes nothing shorter
  }
  return all;
}

}  // namespace

TEST_CASE("rules: a service of one port takes that and leaves the others to the kernel") {
  RulesRig rig(config_of({{kTcp, {{80, 80}}}}));
  CHECK(rig.run(to_vip(kTcp, 80)) == kRedirect);
  CHECK(rig.run(to_vip(kTcp, 81)) == kPass);
  CHECK(rig.run(to_vip(kTcp, 79)) == kPass);
  CHECK(rig.run(to_vip(kUdp, 80)) == kPass);
  CHECK(rig.run(to_vip(kTcp, 80, "10.0.0.1")) == kPass);
  CHECK(rig.other_port() == 3);
}

TEST_CASE("rules: a change of the ports is in force at once") {
  RulesRig rig(config_of({{kTcp, {{80, 80}}}}));
  rig.use(config_of({{kTcp, {{443, 443}, {5000, 5010}}}, {kUdp, {}}}));
  CHECK(rig.run(to_vip(kTcp, 80)) == kPass);
  CHECK(rig.run(to_vip(kTcp, 443)) == kRedirect);
  CHECK(rig.run(to_vip(kTcp, 5010)) == kRedirect);
  CHECK(rig.run(to_vip(kTcp, 5011)) == kPass);
  CHECK(rig.run(to_vip(kUdp, 80)) == kRedirect);
  rig.use(config_of({}));
  CHECK(rig.run(to_vip(kTcp, 80)) == kRedirect);
  rig.use(config_of({{kTcp, {{80, 80}}}}, {"10.0.0.7"}));
  CHECK(rig.run(to_vip(kTcp, 80)) == kPass);
  CHECK(rig.run(to_vip(kTcp, 80, "10.0.0.7")) == kRedirect);
}

TEST_CASE("rules: the program and its model judge every packet case alike") {
  const Config configs[] = {
      config_of({}),
      config_of({{kTcp, {{80, 80}}}}),
      config_of({{kUdp, {{53, 53}}}, {IPPROTO_SCTP, {{36000, 37000}}}}),
      config_of({{kTcp, {}}, {IPPROTO_ESP, {}}}),
      config_of({{IPPROTO_ICMP, {}}}),
      config_of({{kTcp, {{0, 79}, {81, 65535}}}}, {"10.0.0.0/8", "1000::/64"}),
      config_of({}, {"192.0.2.1"}),
  };
  const std::vector<Bytes> cases = packet_cases();
  REQUIRE(cases.size() > 500);
  RulesRig rig(configs[0]);
  uint32_t redirected = 0, passed = 0;
  for (const Config& config : configs) {
    rig.use(config);
    const KernelModel model(kernel_vips(config));
    for (size_t i = 0; i < cases.size(); ++i) {
      const bool expected = model.judge(cases[i]) == KernelVerdict::redirect;
      const Verdict verdict = rig.run(cases[i]);
      if (verdict != (expected ? kRedirect : kPass)) {
        CAPTURE(i, verdict, expected);
        FAIL_CHECK("case judged otherwise");
      }
      ++(expected ? redirected : passed);
    }
  }
  CHECK(redirected > 1000);
  CHECK(passed > 1000);
}

}  // namespace xdplb
