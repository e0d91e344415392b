// A port and a kernel that refuses, stalls, drops or goes away: every packet is accounted for.
#include <catch2/catch.hpp>
#include <cerrno>
#include <random>

#include "tests/unit/umem/port_rig.h"

using namespace xdplb;
using xdplb::testing::FakePort;
using xdplb::testing::Rig;

TEST_CASE("a stalled peer costs one call per wait, starves nobody and recovers fully") {
  Rig rig;
  rig.fake.set_completion(FakePort::Completion::withheld);
  uint64_t now = 1'000'000;
  uint32_t refused = 0;
  for (int turn = 0; turn < 20; ++turn) {
    rig.port.refill();
    for (int i = 0; i < 16; ++i) REQUIRE(rig.fake.deliver(rig.packet(60, 7)));
    const auto packets = rig.receive();
    const uint32_t taken = rig.port.transmit(packets);
    for (size_t i = taken; i < packets.size(); ++i) rig.pool.recycle(packets[i].addr);
    refused += static_cast<uint32_t>(packets.size()) - taken;
    rig.port.reap();
    rig.port.kick(now);
    REQUIRE(rig.all_accounted());
  }
  // 64 sent (that many completions have room), 64 wait in the TX ring; the rest was the worker's to drop.
  CHECK(rig.fake.sent().size() == 64);
  CHECK(rig.port.tx_queued() == 64);
  CHECK(rig.port.tx_outstanding() == 128);
  CHECK(refused == 20 * 16 - 128);
  CHECK(rig.port.counters().fill_starved == 0);
  CHECK(rig.port.retry_at_ns() == now + Port::kRetryAgainNs);
  const uint64_t kicks = rig.port.counters().tx_kicks;
  rig.port.kick(now);
  CHECK(rig.port.counters().tx_kicks == kicks);

  // The peer wakes up and lets go out of order.
  CHECK(rig.fake.complete_shuffled(42) == 64);
  rig.fake.set_completion(FakePort::Completion::at_once);
  CHECK(rig.port.reap() == 64);
  rig.port.kick(now + Port::kRetryAgainNs);
  CHECK(rig.port.tx_outstanding() == 0);
  CHECK(rig.fake.sent().size() == 128);
  CHECK(rig.all_accounted());
}

TEST_CASE("a full completion ring is emptied between calls") {
  // 8 completions for 32 packets: each call sends 8, and goes on once they are reaped.
  Rig rig({.completion_size = 8});
  CHECK(rig.port.transmit(rig.batch(32)) == 32);
  rig.port.kick(0);
  CHECK(rig.fake.sent().size() == 32);
  CHECK(rig.port.counters().tx_kicks == 4);
  CHECK(rig.all_accounted());
}

TEST_CASE("EBUSY drops one packet, which is counted, completed and not sent again") {
  Rig rig;
  CHECK(rig.port.transmit(rig.batch(10)) == 10);
  rig.fake.fail_tx_kicks(EBUSY, 3);
  rig.port.kick(0);
  CHECK(rig.fake.sent().size() == 7);
  CHECK(rig.fake.tx_dropped() == 3);
  CHECK(rig.port.counters().tx_dropped == 3);
  CHECK(rig.port.counters().tx_packets == 7);
  CHECK(rig.port.counters().tx_completed == 10);
  CHECK(rig.port.counters().tx_kicks == 4);
  CHECK(rig.port.tx_outstanding() == 0);
  CHECK(rig.all_accounted());
}

TEST_CASE("a kick that fails keeps the packets and tries again later") {
  struct Row {
    const char* what;
    int sys_errno;
    uint64_t wait_ns;
    bool down;
  };
  const Row rows[] = {
      {"EAGAIN without progress", EAGAIN, Port::kRetryAgainNs, false},
      {"ENOBUFS", ENOBUFS, Port::kRetryNoMemoryNs, false},
      {"ENOMEM", ENOMEM, Port::kRetryNoMemoryNs, false},
      {"ENETDOWN", ENETDOWN, Port::kRetryDownNs, true},
      {"ENXIO", ENXIO, Port::kRetryDownNs, true},
      {"an errno that we do not know", EPROTO, Port::kRetryDownNs, false},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    Rig rig;
    constexpr uint64_t kNow = 77'000'000;
    CHECK(rig.port.transmit(rig.batch(5)) == 5);
    rig.fake.fail_tx_kicks(row.sys_errno, 1);
    rig.port.kick(kNow);
    CHECK(rig.fake.tx_kicks() == 1);
    CHECK(rig.port.is_down() == row.down);
    CHECK(rig.port.tx_queued() == 5);
    rig.port.kick(kNow + row.wait_ns - 1);
    CHECK(rig.fake.tx_kicks() == 1);
    rig.port.kick(kNow + row.wait_ns);
    CHECK(rig.fake.tx_kicks() == 2);
    CHECK_FALSE(rig.port.is_down());
    CHECK(rig.fake.sent().size() == 5);
    const PortCounters& c = rig.port.counters();
    CHECK(c.tx_kicks_again + c.tx_kicks_no_memory + c.tx_kicks_failed == 1);
    CHECK(rig.all_accounted());
  }
}

TEST_CASE("a kick that succeeds and does nothing is not repeated at once") {
  Rig rig;
  rig.fake.set_deaf(true);
  CHECK(rig.port.transmit(rig.batch(5)) == 5);
  rig.port.kick(0);
  rig.port.kick(1);
  CHECK(rig.port.counters().tx_kicks == 1);
  CHECK(rig.port.counters().tx_kicks_idle == 1);
  rig.fake.set_deaf(false);
  rig.port.kick(Port::kRetryAgainNs);
  CHECK(rig.fake.sent().size() == 5);
}

TEST_CASE("a kick is bounded, and the next goes on") {
  Rig rig({.tx_budget = 1});
  CHECK(rig.port.transmit(rig.batch(64)) == 64);
  rig.port.kick(0);
  CHECK(rig.port.counters().tx_kicks == Port::kKicksMax);
  rig.port.kick(0);
  CHECK(rig.port.counters().tx_kicks == 64);
  CHECK(rig.fake.sent().size() == 64);
}

TEST_CASE("a packet that the kernel would never complete does not reach it") {
  Rig rig;
  auto packets = rig.batch(5);
  packets[1].len_bytes = 0;
  packets[3].len_bytes = kFrameBytes - 255;  // one byte over the end of its frame
  packets[4].len_bytes = kFrameBytes - 256;  // just inside
  CHECK(rig.port.transmit(packets) == 5);
  rig.port.kick(0);
  CHECK(rig.fake.sent().size() == 3);
  CHECK(rig.fake.tx_invalid() == 0);
  CHECK(rig.port.counters().tx_invalid == 2);
  CHECK(rig.port.counters().tx_packets == 3);
  CHECK(rig.port.tx_outstanding() == 0);
  CHECK(rig.all_accounted());
}

TEST_CASE("what a closed socket still had is taken back, and nothing else") {
  Rig rig;
  rig.fake.set_completion(FakePort::Completion::withheld);
  rig.port.refill();
  for (int i = 0; i < 5; ++i) REQUIRE(rig.fake.deliver(rig.packet(60, 1)));
  CHECK(rig.port.transmit(rig.batch(7)) == 7);
  rig.port.kick(0);
  const auto kept = rig.batch(2);
  rig.pool.hold(kept[0].addr);

  const FramePool::Reclaimed reclaimed = rig.pool.reclaim(PortId{0});
  CHECK(reclaimed.rx == 64);
  CHECK(reclaimed.tx == 7);
  CHECK(rig.pool.ledger().count() == FrameCounts{.pool = Rig::kFrames - 2, .batch = 1, .held = 1});
  CHECK(rig.pool.consistent());
  CHECK(rig.pool.reclaim(PortId{0}).rx == 0);
}

TEST_CASE("packets that a closing port has not sent are not counted as sent") {
  Rig rig;
  CHECK(rig.port.transmit(rig.batch(40)) == 40);
  rig.fake.set_completion(FakePort::Completion::withheld);
  rig.fake.fail_tx_kicks(ENETDOWN, 1);
  rig.port.kick(0);
  CHECK(rig.port.give_up_queued() == 40);
  CHECK(rig.port.give_up_queued() == 0);
  CHECK(rig.port.counters().tx_packets == 0);
  rig.port.kick(Port::kRetryDownNs);
  CHECK(rig.fake.tx_kicks() == 1);
  CHECK(rig.port.tx_queued() == 0);
  CHECK(rig.all_accounted());
  CHECK(rig.pool.reclaim(PortId{0}).tx == 40);
  CHECK(rig.pool.size() == Rig::kFrames);
}

TEST_CASE("no frame is lost, whatever the kernel does in whatever order") {
  std::mt19937_64 random(20240611);
  Rig rig({.rx_size = 32, .fill_size = 64, .tx_size = 16, .completion_size = 32, .tx_budget = 7});
  std::vector<FrameRef> held;
  uint64_t now = 0;
  uint64_t dropped_full = 0;
  uint64_t received = 0;
  const int errnos[] = {EAGAIN, EBUSY, ENETDOWN, ENXIO, ENOBUFS};
  for (int turn = 0; turn < 20'000; ++turn) {
    now += random() % 100'000;
    if (random() % 50 == 0) rig.fake.set_completion(FakePort::Completion(random() % 2));
    if (random() % 20 == 0) rig.fake.fail_tx_kicks(errnos[random() % std::size(errnos)], random() % 4);
    if (random() % 3 == 0) rig.fake.complete(random() % 8);
    if (random() % 30 == 0) rig.fake.complete_shuffled(random());

    rig.port.reap();
    rig.port.refill();
    for (uint64_t n = random() % 20; n > 0; --n) rig.fake.deliver(rig.packet(1 + random() % 1500, 3));
    auto packets = rig.receive(static_cast<uint32_t>(random() % 32));
    received += packets.size();
    if (!packets.empty() && held.size() < 64 && random() % 4 == 0) {
      rig.pool.hold(packets.back().addr);
      held.push_back(packets.back());
      packets.pop_back();
    }
    if (!held.empty() && random() % 4 == 0) {
      rig.pool.unhold(held.back().addr);
      packets.push_back(held.back());
      held.pop_back();
    }
    const uint32_t taken = rig.port.transmit(packets);
    for (size_t i = taken; i < packets.size(); ++i) rig.pool.recycle(packets[i].addr);
    dropped_full += packets.size() - taken;
    rig.port.kick(now);

    if (turn % 64 == 0) REQUIRE(rig.all_accounted());
    REQUIRE(rig.pool.ledger().count().held == held.size());
    REQUIRE(rig.pool.ledger().count().batch == 0);
    REQUIRE(rig.port.counters().fill_starved == 0);
  }
  // Let it come to rest: everything that was received is sent, dropped or held.
  rig.fake.fail_tx_kicks(0, 0);
  rig.fake.set_completion(FakePort::Completion::at_once);
  for (int turn = 0; turn < 100; ++turn) {
    rig.fake.complete(100);
    rig.port.reap();
    rig.port.kick(now += Port::kRetryDownNs);
  }
  const PortCounters& c = rig.port.counters();
  CHECK(rig.port.tx_outstanding() == 0);
  CHECK(c.rx_packets == received);
  CHECK(c.rx_packets == c.tx_packets + c.tx_dropped + dropped_full + held.size());
  CHECK(c.tx_packets == rig.fake.sent().size());
  CHECK(c.tx_dropped == rig.fake.tx_dropped());
  CHECK(c.tx_dropped > 100);
  CHECK(dropped_full > 100);
  CHECK(rig.fake.tx_invalid() == 0);
  CHECK(rig.all_accounted());
}
