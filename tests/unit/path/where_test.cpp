// What `where` says of a packet, over tables in memory: each way that a packet can go; and that it is what a worker's
// steering then does.
#include "user/path/where.h"

#include <netinet/in.h>

#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "tests/support/flow_fixture.h"
#include "tests/support/packet.h"
#include "tests/unit/ctl/shm_test_dir.h"
#include "user/base/clock.h"
#include "user/net/flow_key_text.h"
#include "user/net/probe_frame.h"

namespace xdplb {
namespace {

using test::operator+;
using test::Bytes;

constexpr uint32_t kFlows = 4096;
constexpr size_t kWorkers = 3;

FlowKey key(const char* protocol, const char* src, const char* dst) {
  const auto parsed = parse_flow_key(protocol, src, dst);
  REQUIRE(parsed);
  return *parsed;
}

// web: tcp 80 and all ICMP, dns: udp 53 by source address, on 10.0.0.0/32; all: everything of 10.1.0.0/16.
Config three_services() {
  Config config;
  for (uint8_t i = 0; i < 4; ++i) {
    Target target;
    target.name = fmt::format("vm-{}", i);
    target.mac = MacAddr{{2, 0, 0, 0, 1, i}};
    config.targets.push_back(target);
  }
  Service web, dns, all;
  web.name = "web";
  web.listen = {{IPPROTO_TCP, {{80, 80}}}, {IPPROTO_ICMP, {}}};
  dns.name = "dns";
  dns.listen = {{IPPROTO_UDP, {{53, 53}}}};
  dns.hash_fields = HashFields::source;
  all.name = "all";
  all.vips = {parse_prefix("10.1.0.0/16").value()};
  web.vips = dns.vips = {parse_prefix("10.0.0.0/32").value(), parse_prefix("1000::/128").value()};
  for (Service* service : {&web, &dns, &all}) {
    service->table_size = 997;
    for (uint32_t i = 0; i < 4; ++i) service->targets.push_back({i, {}});
  }
  config.services = {web, dns, all};
  return config;
}

// The daemon's part, without threads.
class Rig {
 public:
  explicit Rig(Config config = three_services()) {
    REQUIRE(assign_identities(Config{}, config));
    REQUIRE(validate_config(config));
    config_ = std::move(config);
    auto store = FlowStore::open(dir_.name(), kFlows, config_, monotonic_ns());
    REQUIRE(store);
    slots_.emplace(std::move(*store), 1);
    REQUIRE(slots_->grow_to(kWorkers));
    snapshot_ = compile_snapshot(config_, generation_);
  }
  // As the daemon adopts one.
  void change(const std::function<void(Config&)>& edit) {
    Config next = config_;
    edit(next);
    REQUIRE(assign_identities(config_, next));
    REQUIRE(validate_config(next));
    history_.note(config_, next, ++generation_);
    config_ = std::move(next);
    snapshot_ = compile_snapshot(config_, generation_, snapshot_.get());
  }
  // A worker gets the packet.
  PacketColumns& steer(size_t worker, std::span<const uint8_t> frame) {
    packets_->reason[0] = parse_packet(frame, packets_->info[0]);
    packets_->fate[0] = packets_->reason[0] == Reason::none ? Fate::forward : Fate::drop;
    Steering steering(slots_->steering(worker, kWorkers));
    steering.steer(*snapshot_, *packets_, 1, monotonic_ns());
    return *packets_;
  }
  std::string served_by(size_t worker, const FlowKey& k) {
    return config_.targets[steer(worker, make_probe_frame(k)).target[0]].name;
  }
  Whereabouts where(const Bytes& frame) {
    const auto answer = where_.where({frame});
    REQUIRE(answer);
    REQUIRE(answer->packets.size() == 1);
    CHECK(answer->generation == generation_);
    return answer->packets[0];
  }
  Whereabouts where(const FlowKey& k) { return where(make_probe_frame(k)); }

  ShmTestDir dir_;
  uint64_t generation_ = 10;
  Config config_;
  TargetHistory history_;
  std::optional<WorkerSlots> slots_;
  std::unique_ptr<const Snapshot> snapshot_;
  std::set<IpAddr> operator_vips_;
  size_t workers_ = kWorkers;
  EgressRules rules_;

 private:
  std::unique_ptr<PacketColumns> packets_ = std::make_unique<PacketColumns>();
  Where where_{[this] {
    WhereNow now;
    now.config = &config_;
    now.snapshot = snapshot_.get();
    now.history = &history_;
    now.slots = &*slots_;
    now.rules = rules_;
    now.workers = workers_;
    now.is_operator_vip = [this](const IpAddr& addr) { return operator_vips_.count(addr) != 0; };
    return now;
  }};
};

bool says(const Whereabouts& where, const std::string& part) {
  return std::any_of(where.steps.begin(), where.steps.end(),
                     [&](const std::string& step) { return step.find(part) != std::string::npos; });
}

FlowKey web_key() {
  return key("tcp", "192.0.2.1:40000", "10.0.0.0:80");
}

}  // namespace

TEST_CASE("where: without a flow the table decides, and nothing is left behind") {
  Rig rig;
  const Whereabouts first = rig.where(web_key());
  CHECK(first.packet == "tcp 192.0.2.1:40000 -> 10.0.0.0:80");
  CHECK(first.verdict == "forward");
  CHECK(first.vip == "10.0.0.0/32");
  CHECK(first.service == "web");
  CHECK(first.decided_by == "table");
  CHECK(first.flows.empty());
  REQUIRE(first.slot);
  CHECK(first.slot->target == first.target);
  CHECK(says(first, "vip: 10.0.0.0/32 of service web (tcp 80)"));
  CHECK(says(first, fmt::format("table slot {} of 997 -> {} {}", first.slot->slot, first.target, first.mac)));
  CHECK(says(first, fmt::format("goes to: {}, MAC {}: the table decides", first.target, first.mac)));
  CHECK(rig.where(web_key()).flows.empty());
  for (const FlowReader& table : rig.slots_->flows->readers()) CHECK(table.counter(FlowCounter::created) == 0);
  CHECK(rig.served_by(1, web_key()) == first.target);
}

TEST_CASE("where: a draining target keeps its flow, and the generation says why the table differs") {
  Rig rig;
  const std::string had = rig.served_by(2, web_key());
  const Whereabouts before = rig.where(web_key());
  CHECK(before.decided_by == "flow");
  CHECK(before.differs.empty());
  rig.change([&](Config& c) {
    for (Target& t : c.targets) {
      if (t.name == had) t.state = TargetState::draining;
    }
  });
  const Whereabouts after = rig.where(web_key());
  CHECK(after.target == had);
  CHECK(after.decided_by == "flow");
  REQUIRE(after.flows.size() == 1);
  CHECK(after.flows[0].line.worker == 2);
  CHECK(after.flows[0].target_state == "draining");
  CHECK(after.flows[0].ignored.empty());
  CHECK(after.slot->target != had);
  CHECK(says(after, fmt::format("-> {} (draining)", had)));
  CHECK(after.differs == had + " began to drain in generation 11");
  CHECK(says(after, "they differ because " + had + " began to drain in generation 11"));
  for (size_t worker = 0; worker < kWorkers; ++worker) CHECK(rig.served_by(worker, web_key()) == had);
}

TEST_CASE("where: the flow of a target that is down or gone is not followed") {
  Rig rig;
  const std::string had = rig.served_by(0, web_key());
  rig.change([&](Config& c) {
    for (Target& t : c.targets) {
      if (t.name == had) t.state = TargetState::down;
    }
  });
  const Whereabouts down = rig.where(web_key());
  CHECK(down.decided_by == "table");
  CHECK(down.target != had);
  REQUIRE(down.flows.size() == 1);
  CHECK(down.flows[0].ignored == had + " went down in generation 11");

  rig.change([&](Config& c) {
    for (Service& s : c.services)
      std::erase_if(s.targets, [&](TargetUse u) { return c.targets[u.target].name == had; });
    Target& old = *std::find_if(c.targets.begin(), c.targets.end(), [&](const Target& t) { return t.name == had; });
    old.name = "vm-9";  // another target in its place
  });
  const Whereabouts gone = rig.where(web_key());
  REQUIRE(gone.flows.size() == 1);
  CHECK(gone.flows[0].line.target == had);
  CHECK(gone.flows[0].target_state.empty());
  CHECK(says(gone, "not followed: " + had + " left in generation 12"));
  CHECK(rig.served_by(0, web_key()) == gone.target);
}

TEST_CASE("where: a target that came since the flow began") {
  Rig rig;
  rig.change([](Config& c) { c.targets[3].state = TargetState::down; });
  std::optional<FlowKey> moved;
  for (uint16_t port = 1; port < 200; ++port) {
    FlowKey k = web_key();
    k.src_port = port;
    rig.served_by(0, k);
  }
  rig.change([](Config& c) { c.targets[3].state = TargetState::active; });
  for (uint16_t port = 1; port < 200; ++port) {
    FlowKey k = web_key();
    k.src_port = port;
    const Whereabouts at = rig.where(k);
    CHECK(at.decided_by == "flow");
    CHECK(at.target == rig.served_by(0, k));
    if (at.slot->target == at.target) continue;
    moved = k;
    CHECK(at.differs == "vm-3 became active in generation 12");
    CHECK(says(at, "other workers would go by the table"));
    CHECK(rig.served_by(1, k) == at.slot->target);
  }
  CHECK(moved);
}

TEST_CASE("where: a SYN on a flow that ended chooses anew") {
  Rig rig;
  const auto packet = [](unsigned flags) {
    return test::ether(0x0800) + test::ipv4(IPPROTO_TCP, test::tcp(40000, 80, flags));
  };
  for (const unsigned flags : {0x02u, 0x10u, 0x11u}) rig.steer(0, packet(flags));
  CHECK(rig.where(packet(0x10)).decided_by == "flow");
  const Whereabouts anew = rig.where(packet(0x02));
  CHECK(anew.decided_by == "table");
  CHECK(says(anew, "not followed: a SYN after its end begins a new one"));
}

TEST_CASE("where: what stays with the kernel") {
  Rig rig;
  const Whereabouts other = rig.where(key("tcp", "192.0.2.1:1", "10.9.9.9:80"));
  CHECK(other.verdict == "pass");
  CHECK(says(other, "passes to the kernel: 10.9.9.9 is not a VIP"));
  const Whereabouts port = rig.where(key("tcp", "192.0.2.1:1", "10.0.0.0:81"));
  CHECK(port.verdict == "pass");
  CHECK(port.vip == "10.0.0.0/32");
  CHECK(says(port, "stays with the kernel: no service of 10.0.0.0/32 takes tcp port 81"));
  CHECK(rig.where(test::ether(0x0806) + test::fill(28)).verdict == "pass");
  CHECK(rig.where(Bytes(3, 0)).verdict == "pass");

  rig.change([](Config& c) {
    c.services[2].on_empty = OnEmpty::pass;
    for (Target& t : c.targets) t.state = TargetState::down;
  });
  const Whereabouts empty = rig.where(key("udp", "192.0.2.1:1", "10.1.2.3:9"));
  CHECK(empty.verdict == "pass");
  CHECK(says(empty, "on_empty is pass"));
  const Whereabouts dropped = rig.where(web_key());
  CHECK(dropped.verdict == "drop");
  CHECK(dropped.reason == "no_target");
  CHECK(says(dropped, "-> none"));
}

TEST_CASE("where: a VIP that an operator put into the map belongs to the default service") {
  Config config = make_default_config(997, 2);
  config.targets[1].mac = MacAddr{{2, 0, 0, 0, 0, 1}};
  config.targets[1].state = TargetState::active;
  Rig rig(config);
  const FlowKey k = key("udp", "192.0.2.1:1", "10.7.7.7:9");
  CHECK(rig.where(k).verdict == "pass");
  rig.operator_vips_.insert(k.dst);
  CHECK(rig.where(k).service == "default");
  CHECK(rig.where(k).target == "1");
}

TEST_CASE("where: prefixes, echoes, other hash fields, IPv6") {
  Rig rig;
  const Whereabouts wide = rig.where(key("sctp", "192.0.2.1:1", "10.1.2.3:9"));
  CHECK(wide.vip == "10.1.0.0/16");
  CHECK(wide.service == "all");
  const Whereabouts echo = rig.where(key("icmp", "192.0.2.1", "10.0.0.0"));
  CHECK(echo.packet == "echo icmp 192.0.2.1 -> 10.0.0.0");
  CHECK(echo.service == "web");
  CHECK(echo.decided_by == "table");
  const Whereabouts dns = rig.where(key("udp", "[2001:db8::7]:4000", "[1000::]:53"));
  CHECK(dns.vip == "1000::/128");
  CHECK(says(dns, "by the source address alone, -> " + dns.target));
  CHECK(rig.where(key("udp", "[2001:db8::7]:999", "[1000::]:53")).slot->slot == dns.slot->slot);
}

TEST_CASE("where: an ICMP error goes where its connection is") {
  Rig rig;
  const std::string had = rig.served_by(1, web_key());
  test::Ipv4Options inner;
  std::swap(inner.src, inner.dst);
  const Bytes quoted = test::ipv4(IPPROTO_TCP, test::tcp(80, 40000), inner);
  test::Ipv4Options outer;
  outer.src = {198, 51, 100, 9};
  const Bytes error = test::ether(0x0800) + test::ipv4(IPPROTO_ICMP, test::icmp(3, 4, test::fill(4) + quoted), outer);
  const Whereabouts at = rig.where(error);
  CHECK(at.packet == "ICMP error about tcp 192.0.2.1:40000 -> 10.0.0.0:80");
  CHECK(at.decided_by == "flow");
  CHECK(at.target == had);
}

TEST_CASE("where: fragments before and after the first one has come") {
  Rig rig;
  const Whereabouts early = rig.where(test::udp_fragment(7, 4));
  CHECK(early.verdict == "hold");
  CHECK(says(early, "the first one of datagram 7 has not come"));
  CHECK(rig.where(test::udp_fragment(7, 0)).decided_by == "table");
  CHECK(rig.where(test::udp_fragment(7, 4)).verdict == "hold");  // asking decides nothing

  const uint16_t target = rig.steer(0, test::udp_fragment(7, 0)).target[0];
  const Whereabouts late = rig.where(test::udp_fragment(7, 4));
  CHECK(late.verdict == "forward");
  CHECK(late.decided_by == "fragment");
  CHECK(late.target == rig.config_.targets[target].name);
  CHECK(late.service == "dns");
}

TEST_CASE("where: a fragment that another balancer of the tier owns") {
  Rig rig;
  rig.change([](Config& c) { c.lb_tier = {0, {MacAddr{{2, 0, 0, 0, 9, 0}}, MacAddr{{2, 0, 0, 0, 9, 1}}}}; });
  bool handed = false;
  for (unsigned n = 1; n < 50 && !handed; ++n) {
    test::Ipv4Options options;
    options.src = {192, 0, 2, static_cast<uint8_t>(n)};
    options.fragment = 0x2000;
    const Bytes frame = test::ether(0x0800) + test::ipv4(IPPROTO_UDP, test::udp(4000, 53, test::fill(24)), options);
    rig.slots_->live_peers = 0;
    CHECK(rig.where(frame).verdict == "forward");
    rig.slots_->live_peers = 2;
    const Whereabouts at = rig.where(frame);
    if (at.verdict != "peer") continue;
    handed = true;
    CHECK(says(at, "goes to balancer 1 of the tier, MAC 02:00:00:00:09:01"));
  }
  CHECK(handed);
}

TEST_CASE("where: broken, too long, and while no worker runs") {
  Rig rig;
  test::Ipv4Options wrong;
  wrong.checksum = 1;
  const Whereabouts broken = rig.where(test::ether(0x0800) + test::ipv4(IPPROTO_TCP, test::tcp(1, 80), wrong));
  CHECK(broken.verdict == "drop");
  CHECK(broken.reason == "ip_checksum");
  rig.rules_.mtu = 100;
  const Bytes long_one = test::ether(0x0800) + test::ipv4(IPPROTO_TCP, test::tcp(1, 80, 0x10, test::fill(100)));
  CHECK(rig.where(long_one).reason == "too_big");
  CHECK(rig.where(test::ether(0x0800) + test::ipv4(IPPROTO_TCP, test::tcp(1, 80, 0x10, test::fill(9000)))).reason ==
        "too_big");
  rig.workers_ = 0;
  CHECK(says(rig.where(web_key()), "no worker runs"));
}

TEST_CASE("where: names the target that the worker then chooses, whatever has changed") {
  Rig rig;
  std::mt19937 random(7);
  for (uint32_t round = 0; round < 20; ++round) {
    rig.change([&](Config& c) { c.targets[random() % 4].state = static_cast<TargetState>(random() % 3); });
    for (uint32_t n = 0; n < 50; ++n) {
      FlowKey k = web_key();
      k.src_port = static_cast<uint16_t>(1 + random() % 100);
      const Whereabouts at = rig.where(k);
      const size_t worker = at.flows.empty() ? random() % kWorkers : at.flows[0].line.worker;
      const PacketColumns& packets = rig.steer(worker, make_probe_frame(k));
      if (at.flows.size() > 1) continue;  // RSS decides whose
      REQUIRE((packets.fate[0] == Fate::forward) == (at.verdict == "forward"));
      if (at.verdict == "forward") REQUIRE(at.target == rig.config_.targets[packets.target[0]].name);
    }
  }
}

}  // namespace xdplb
