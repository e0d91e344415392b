#include "user/path/replay.h"

#include <netinet/in.h>

#include <catch2/catch.hpp>

#include "tests/support/packet.h"
#include "user/base/clock.h"

namespace xdplb {
namespace {

using test::operator+;
using test::Bytes;

constexpr uint64_t kStart = 1'700'000'000 * kNsPerSec;  // of a capture

Config two_targets() {
  Config config;
  Service service;
  service.name = "web";
  service.vips = {parse_prefix("10.0.0.0/32").value()};
  service.listen = {{IPPROTO_UDP, {{53, 53}}}};
  service.timeouts.udp_s = 10;
  for (uint8_t i = 0; i < 2; ++i) {
    Target target;
    target.name = std::string(1, static_cast<char>('a' + i));
    target.mac = MacAddr{{2, 0, 0, 0, 1, i}};
    config.targets.push_back(target);
    service.targets.push_back({i, {}});
  }
  config.services = {service};
  REQUIRE(assign_identities(Config{}, config));
  REQUIRE(validate_config(config));
  return config;
}

struct Sent {
  Bytes frame;
  uint64_t time_ns = 0;
  friend bool operator==(const Sent&, const Sent&) = default;
};

class Rig {
 public:
  explicit Rig(const Config& config = two_targets()) {
    EgressRules rules;
    rules.mac = MacAddr{{2, 0, 0, 0, 0, 9}};
    replay_ = Replay::create(config, rules, 1000, [this](std::span<const uint8_t> frame, uint64_t time_ns) {
                sent.push_back({{frame.begin(), frame.end()}, time_ns});
              }).value();
  }
  const PacketVerdict& feed(const Bytes& frame, uint64_t after_ns = 0) {
    replay_->feed(frame, kStart + after_ns);
    return replay_->verdicts().back();
  }
  Replay& replay() { return *replay_; }
  void check_balanced() const {
    const WorkerCounters& c = replay_->counters();
    CHECK(c.rx.get() == c.tx.get() + c.dropped() + c.held.get());
  }
  std::vector<Sent> sent;

 private:
  std::unique_ptr<Replay> replay_;
};

Bytes query(unsigned port, unsigned to = 53) {
  return test::ether(0x0800) + test::ipv4(IPPROTO_UDP, test::udp(port, to, test::fill(20)));
}

}  // namespace

TEST_CASE("replay: a packet for a VIP leaves for a target at the time of the capture") {
  Rig rig;
  const PacketVerdict verdict = rig.feed(query(1));
  CHECK(verdict.verdict == Verdict::forward);
  CHECK(verdict.flow == FlowUse::entered);
  REQUIRE(verdict.target < 2);
  REQUIRE(rig.sent.size() == 1);
  CHECK(rig.sent[0].frame[5] == verdict.target);
  CHECK(rig.sent[0].time_ns == kStart);
  CHECK(rig.feed(query(1), 1).flow == FlowUse::hit);
  rig.check_balanced();
}

TEST_CASE("replay: what the kernel keeps is passed, and never reaches the worker") {
  Rig rig;
  for (const Bytes& frame : {query(1, 54), Bytes(10), test::ether(0x0806) + Bytes(28)}) {
    CHECK(rig.feed(frame).verdict == Verdict::pass);
  }
  CHECK(rig.replay().counters().rx.get() == 0);
  CHECK(rig.sent.empty());
}

TEST_CASE("replay: a packet longer than a frame is dropped as too big, as on a device") {
  Rig rig;
  const Bytes longest = test::ether(0x0800) + test::ipv4(IPPROTO_UDP, test::udp(1, 53, test::fill(5000)));
  const PacketVerdict verdict = rig.feed(longest);
  CHECK(verdict.verdict == Verdict::drop);
  CHECK(verdict.reason == Reason::too_big);
  rig.check_balanced();
}

TEST_CASE("replay: a held fragment has the verdict that it gets in the end") {
  Rig rig;
  rig.feed(test::udp_fragment(1, 4));
  rig.feed(test::udp_fragment(1, 0), kNsPerMs);
  rig.feed(test::udp_fragment(2, 4), 2 * kNsPerMs);
  const auto& verdicts = rig.replay().verdicts();
  CHECK(verdicts[0].verdict == Verdict::forward);
  CHECK(verdicts[0].target == verdicts[1].target);
  CHECK(rig.sent.size() == 2);
  rig.replay().finish();
  CHECK(verdicts[2].verdict == Verdict::drop);
  CHECK(verdicts[2].reason == Reason::fragment_timeout);
  rig.check_balanced();
}

TEST_CASE("replay: flows end by the capture's clock, which never runs backwards") {
  Rig rig;
  rig.feed(query(1));
  CHECK(rig.feed(query(1), 9 * kNsPerSec).flow == FlowUse::hit);
  CHECK(rig.feed(query(1), 3 * kNsPerSec).flow == FlowUse::hit);  // set back: it stands still
  CHECK(rig.feed(query(1), 18 * kNsPerSec).flow == FlowUse::hit);
  CHECK(rig.feed(query(1), 29 * kNsPerSec).flow == FlowUse::entered);
}

TEST_CASE("replay: years between two packets take no time") {
  Rig rig;
  rig.feed(query(1));
  const uint64_t before_ns = monotonic_ns();
  CHECK(rig.feed(query(1), 20 * 365 * 86400 * kNsPerSec).flow == FlowUse::entered);
  CHECK(monotonic_ns() - before_ns < 5 * kNsPerSec);
  CHECK(rig.replay().flows().counter(FlowCounter::live) == 1);
}

TEST_CASE("replay: the same packets give the same answers") {
  std::vector<Sent> sent[2];
  for (auto& all : sent) {
    Rig rig;
    for (unsigned i = 0; i < 500; ++i)
      rig.feed(i % 3 == 0 ? test::udp_fragment(i / 6, i % 2 == 0 ? 0 : 4) : query(i * 7), i * kNsPerMs);
    rig.replay().finish();
    rig.check_balanced();
    all = std::move(rig.sent);
  }
  CHECK(sent[0].size() > 300);
  CHECK(sent[0] == sent[1]);
}

TEST_CASE("replay: a fragment that another balancer owns is forwarded, but to no target") {
  Config config = two_targets();
  config.lb_tier = {0, {MacAddr{{2, 0, 0, 0, 2, 0}}, MacAddr{{2, 0, 0, 0, 2, 1}}}};
  // The other way round: one of the two owns what the other does not.
  Config other = config;
  other.lb_tier.own_index = 1;
  Rig here(config), there(other);
  const bool is_ours = !here.feed(test::udp_fragment(1, 0)).peer.has_value();
  Rig& owner = is_ours ? here : there;
  Rig& stranger = is_ours ? there : here;
  const PacketVerdict handed = stranger.feed(test::udp_fragment(1, 0), 1);
  CHECK(handed.verdict == Verdict::forward);
  CHECK(handed.target == kNoTarget);
  CHECK(handed.peer == (is_ours ? 0 : 1));
  CHECK(stranger.sent.back().frame[4] == 2);
  CHECK(stranger.sent.back().frame[5] == (is_ours ? 0 : 1));
  CHECK(owner.feed(stranger.sent.back().frame, 2).target < 2);
  stranger.check_balanced();
  owner.check_balanced();
}

}  // namespace xdplb
