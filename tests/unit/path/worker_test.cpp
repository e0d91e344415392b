// What a worker decides: targets, flows and drops; and that it never loses a frame.
#include "user/path/worker.h"

#include <map>
#include <random>

#include "tests/unit/path/worker_test_rig.h"

namespace xdplb {
namespace {

using testing::FakePort;
using testing::fragment;
using Rig = testing::WorkerTestRig;
using testing::two_targets;
using testing::udp_packet;

TEST_CASE("a packet leaves with the target's and the egress device's MAC, and otherwise as it came") {
  Rig rig;
  rig.turn();
  const std::vector<std::byte> packet = udp_packet(1234);
  REQUIRE(rig.in().deliver(packet));
  CHECK(rig.turn());
  REQUIRE(rig.out().sent().size() == 1);
  const auto& sent = rig.out().sent()[0].bytes;
  const uint8_t egress_mac[6] = {2, 0, 0, 0, 0, 9};
  CHECK(std::memcmp(sent.data() + 6, egress_mac, 6) == 0);
  CHECK((Rig::target_of(rig.out().sent()[0]) == 1 || Rig::target_of(rig.out().sent()[0]) == 2));
  CHECK(std::equal(sent.begin() + 12, sent.end(), packet.begin() + 12, packet.end()));
  rig.check_conserved();
}

TEST_CASE("flows stay together, in order, and use both targets") {
  Rig rig;
  std::map<uint16_t, uint8_t> target;
  std::map<uint8_t, int> share;
  for (int round = 0; round < 3; ++round) {
    for (uint16_t port = 0; port < 200; ++port) {
      rig.turn();
      REQUIRE(rig.in().deliver(udp_packet(port)));
      rig.turn();
      const auto sent = rig.out().take_sent();
      REQUIRE(sent.size() == 1);
      const uint8_t to = Rig::target_of(sent[0]);
      if (round == 0) target[port] = to, ++share[to];
      REQUIRE(target[port] == to);
    }
  }
  CHECK(share[1] > 60);
  CHECK(share[2] > 60);
  rig.check_conserved();
}

TEST_CASE("a drained target keeps its flows and gets no new ones; a target that is down keeps none") {
  Config config = two_targets();
  Rig rig(config);
  const auto send = [&](uint16_t port) {
    rig.turn();
    REQUIRE(rig.in().deliver(udp_packet(port)));
    rig.turn();
    const auto sent = rig.out().take_sent();
    return sent.size() == 1 ? Rig::target_of(sent[0]) : uint8_t{0};
  };
  std::map<uint16_t, uint8_t> before;
  for (uint16_t port = 0; port < 50; ++port) before[port] = send(port);
  config.targets[0].state = TargetState::draining;
  rig.publish(config);
  for (uint16_t port = 0; port < 50; ++port) REQUIRE(send(port) == before[port]);
  for (uint16_t port = 100; port < 150; ++port) REQUIRE(send(port) == 2);
  config.targets[0].state = TargetState::down;
  rig.publish(config);
  for (uint16_t port = 0; port < 50; ++port) REQUIRE(send(port) == 2);
  config.targets[1].state = TargetState::down;
  rig.publish(config);
  CHECK(send(1) == 0);
  CHECK(rig.drops(Reason::no_target) == 1);
  rig.check_conserved();
}

TEST_CASE("flows that control wants forgotten go between turns, a few each, and choose anew") {
  Config config = two_targets();
  Rig rig(config);
  const auto send = [&](uint16_t port) {
    rig.turn();
    REQUIRE(rig.in().deliver(udp_packet(port)));
    rig.turn();
    const auto sent = rig.out().take_sent();
    return sent.size() == 1 ? Rig::target_of(sent[0]) : uint8_t{0};
  };
  for (uint16_t port = 0; port < 300; ++port) send(port);
  const FlowReader reader = rig.flows().reader();
  std::vector<FlowHandle> found;
  for (uint32_t slot = 0; slot < reader.slots(); ++slot) {
    const auto flow = reader.read(slot, rig.now_ns_);
    if (flow && flow->target.id == 0) found.push_back(flow->handle);
  }
  const size_t count = found.size();
  REQUIRE(count > kFlushFlowsMax);
  CHECK(rig.worker().sleep_max_ns(rig.now_ns_) == kSleepMaxNs);
  rig.flush().expect_more(true);
  CHECK(rig.worker().sleep_max_ns(rig.now_ns_) < kSleepMaxNs);
  rig.flush().post(found);
  CHECK(rig.worker().sleep_max_ns(rig.now_ns_) <= kSweepBucketEveryNs);
  rig.turn();
  CHECK(rig.flush().removed() == kFlushFlowsMax);
  CHECK_FALSE(rig.flush().is_idle());
  for (int i = 0; i < 10; ++i) rig.turn();
  CHECK(rig.flush().is_idle());
  CHECK(rig.flush().removed() == count);
  rig.flush().expect_more(false);
  CHECK(rig.worker().sleep_max_ns(rig.now_ns_) == kSleepMaxNs);
  CHECK(reader.counter(FlowCounter::live) == 300 - count);
  config.targets[0].state = TargetState::draining;
  rig.publish(config);
  for (uint16_t port = 0; port < 300; ++port) CHECK(send(port) == 2);
  rig.check_conserved();
}

TEST_CASE("what is malformed or longer than the egress MTU is dropped for its reason") {
  Rig rig(two_targets(), {.mtu = 100});
  rig.turn();
  REQUIRE(rig.in().deliver(std::vector<std::byte>(60)));
  REQUIRE(rig.in().deliver(udp_packet(1, 72)));
  REQUIRE(rig.in().deliver(udp_packet(1, 73)));
  rig.turn();
  CHECK(rig.out().sent().size() == 1);
  CHECK(rig.drops(Reason::not_ip) == 1);
  CHECK(rig.drops(Reason::too_big) == 1);
  rig.check_conserved();
}

TEST_CASE("random traffic and a random kernel never lose a frame") {
  const bool live = GENERATE(false, true);
  Rig rig(two_targets(), {.live = live, .frame_size = GENERATE(kSmallFrames, kLargeFrames)});
  std::mt19937 random(3);
  const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  const auto one_in = [&](uint32_t n) { return below(n) == 0; };
  const int errnos[] = {EAGAIN, EBUSY, ENOBUFS, ENETDOWN};
  for (int step = 0; step < 20'000; ++step) {
    const uint32_t packets = below(live ? 60 : 20);
    for (uint32_t i = 0; i < packets; ++i) {
      std::vector<std::byte> packet = one_in(4) ? fragment(static_cast<uint16_t>(below(50)), one_in(2))
                                                : udp_packet(static_cast<uint16_t>(below(5000)));
      if (one_in(10)) packet.resize(1 + random() % packet.size());
      rig.in().deliver(packet);
    }
    if (one_in(20)) rig.live().end_early(below(40), errnos[below(4)]);
    if (one_in(20)) rig.live().refuse_one();
    if (one_in(50)) rig.out().fail_tx_kicks(errnos[below(4)], below(5));
    if (one_in(40)) rig.out().set_completion(FakePort::Completion::withheld);
    if (one_in(40)) rig.out().set_completion(FakePort::Completion::at_once);
    if (one_in(3)) rig.out().complete(below(64));
    rig.turn(below(20'000'000));
    if (step % 100 != 0) continue;
    (void)rig.out().take_sent();
    (void)rig.live().take_sent();
    rig.check_conserved();
  }
  CHECK((rig.counters().tx_live.get() != 0) == live);
  rig.check_conserved();
}

}  // namespace
}  // namespace xdplb
