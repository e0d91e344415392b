// How a worker sends: through the ring, live, and when the kernel does not take what it is given.
#include <cerrno>

#include "tests/unit/path/worker_test_rig.h"

namespace xdplb {
namespace {

using testing::FakePort;
using Rig = testing::WorkerTestRig;
using testing::two_targets;
using testing::udp_packet;

uint16_t source_port(const std::vector<std::byte>& frame) {
  return static_cast<uint16_t>(static_cast<uint8_t>(frame[34]) << 8 | static_cast<uint8_t>(frame[35]));
}

TEST_CASE("a stalled peer costs packets, counted, and never the receiving; afterwards all is as before") {
  Rig rig;
  rig.out().set_completion(FakePort::Completion::withheld);
  uint32_t delivered = 0;
  for (int i = 0; i < 400; ++i) {
    rig.turn();
    delivered += rig.in().deliver(udp_packet(static_cast<uint16_t>(i))) ? 1 : 0;
  }
  rig.turn();
  CHECK(delivered == 400);
  CHECK(rig.drops(Reason::tx_full) > 200);
  rig.check_conserved();
  rig.out().set_completion(FakePort::Completion::at_once);
  for (int i = 0; i < 20; ++i) {
    rig.out().complete_shuffled(static_cast<uint64_t>(i));
    rig.turn();
  }
  const uint64_t dropped = rig.counters().dropped();
  const uint64_t sent = rig.counters().tx.get();
  for (int i = 0; i < 100; ++i) {
    rig.turn();
    REQUIRE(rig.in().deliver(udp_packet(static_cast<uint16_t>(i))));
  }
  rig.turn();
  CHECK(rig.counters().tx.get() == sent + 100);
  CHECK(rig.counters().dropped() == dropped);
  rig.check_conserved();
}

TEST_CASE("a tail that the kernel did not take at once is sent on a later turn without a packet to push it") {
  Rig rig;
  rig.turn();
  REQUIRE(rig.in().deliver(udp_packet(1)));
  rig.out().fail_tx_kicks(EAGAIN, 3);
  rig.turn();
  CHECK(rig.worker().sleep_max_ns(rig.now_ns_) <= kSleepUnsentNs);
  for (int i = 0; i < 5 && rig.out().sent().empty(); ++i) rig.turn();
  CHECK(rig.out().sent().size() == 1);
  rig.check_conserved();
}

TEST_CASE("a large batch leaves live, a small one through the ring, and none overtakes the other") {
  Rig rig(two_targets(), {.live = true});
  rig.turn();
  uint32_t number = 0;
  const auto deliver = [&](uint32_t packets) {
    for (uint32_t i = 0; i < packets; ++i) REQUIRE(rig.in().deliver(udp_packet(static_cast<uint16_t>(number++))));
  };
  deliver(kLiveFromPackets);
  rig.turn();
  CHECK(rig.live().take_sent().size() == kLiveFromPackets);
  CHECK(rig.out().sent().empty());
  deliver(kLiveFromPackets - 1);
  rig.turn();
  CHECK(rig.live().take_sent().empty());
  CHECK(rig.out().take_sent().size() == kLiveFromPackets - 1);
  // What the kernel has not taken from the ring yet goes first, and where it cannot, all wait behind it.
  deliver(3);
  rig.out().fail_tx_kicks(EAGAIN, 1);
  rig.turn();
  rig.out().fail_tx_kicks(EAGAIN, 1);
  deliver(30);
  rig.turn(1);
  CHECK(rig.live().take_sent().empty());
  for (int i = 0; i < 5; ++i) rig.turn();
  CHECK(rig.out().take_sent().size() == 33);
  deliver(3);
  rig.out().fail_tx_kicks(EAGAIN, 1);
  rig.turn();
  deliver(30);
  rig.turn();
  CHECK(rig.out().take_sent().size() == 3);
  CHECK(rig.live().take_sent().size() == 30);
  CHECK(rig.counters().tx.get() == number);
  CHECK(rig.counters().tx_live.get() == kLiveFromPackets + 30);
  CHECK(rig.counters().live_batches.get() == 2);
  rig.check_conserved();
}

TEST_CASE(
    "a turn takes batches until it has its number, and they leave in one call or through a ring shorter than it") {
  const bool live = GENERATE(false, true);
  Rig rig(two_targets(), {.live = live, .ring = 1024, .turn_max = 600});
  rig.turn();
  for (uint16_t i = 0; i < 700; ++i) REQUIRE(rig.in().deliver(udp_packet(i)));
  CHECK(rig.turn() == 600);
  CHECK(rig.worker().has_more());
  CHECK(rig.turn() == 100);
  CHECK_FALSE(rig.worker().has_more());
  CHECK(rig.turn() == 0);
  CHECK(rig.counters().batches.get() == 2);
  CHECK(rig.counters().tx.get() == 700);
  CHECK(rig.live().calls() == (live ? 2 : 0));
  CHECK(rig.counters().live_batches.get() == (live ? 2 : 0));
  // In the order in which they came.
  std::vector<std::vector<std::byte>> sent = rig.live().take_sent();
  for (const auto& packet : rig.out().sent()) sent.push_back(packet.bytes);
  REQUIRE(sent.size() == 700);
  for (uint16_t i = 0; i < 700; ++i) REQUIRE(source_port(sent[i]) == i);
  rig.check_conserved();
}

TEST_CASE("what must go by the ring waits for the live frames before it") {
  Rig rig(two_targets(), {.live = true, .ring = 1024, .turn_max = 1024});
  rig.turn();
  for (uint16_t i = 0; i < kMaxBatch; ++i) REQUIRE(rig.in().deliver(udp_packet(i)));
  for (uint16_t i = 0; i < kLiveFromPackets - 1; ++i) REQUIRE(rig.in().deliver(udp_packet(i)));
  size_t live_before_ring = 0;
  rig.out().on_tx_kick([&] { live_before_ring = rig.live().take_sent().size(); });
  CHECK(rig.turn() == kMaxBatch + kLiveFromPackets - 1);
  CHECK(live_before_ring == kMaxBatch);
  CHECK(rig.out().sent().size() == kLiveFromPackets - 1);
  rig.check_conserved();
}

TEST_CASE("what live frames lose is dropped and counted, and its frames come back") {
  Rig rig(two_targets(), {.live = true});
  rig.turn();
  for (uint16_t i = 0; i < 40; ++i) REQUIRE(rig.in().deliver(udp_packet(i)));
  rig.live().end_early(10, ENODEV);
  rig.turn();
  CHECK(rig.counters().tx.get() == 10);
  CHECK(rig.drops(Reason::tx_error) == 30);
  rig.check_conserved();
}

}  // namespace
}  // namespace xdplb
