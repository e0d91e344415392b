#include "umem/port.h"

#include <catch2/catch.hpp>
#include <cerrno>
#include <random>

#include "tests/support/fake_port.h"

using namespace xdplb;
using xdplb::testing::FakePort;
using xdplb::testing::FakePortOptions;

namespace {

// A worker of one or two ports, as plain as possible.
struct Rig {
  static constexpr uint32_t kFrames = 512;

  explicit Rig(const FakePortOptions& options = {})
      : fake(area, options), port(PortId{0}, area, fake.rings(), fake, pool) {}

  std::vector<std::byte> packet(size_t len, uint8_t fill) { return std::vector<std::byte>(len, std::byte{fill}); }

  std::vector<FrameRef> receive(uint32_t max = 64) {
    std::vector<FrameRef> packets(max);
    packets.resize(port.receive(packets));
    return packets;
  }

  // `n` packets of the worker's batch.
  std::vector<FrameRef> batch(uint32_t n, uint32_t len = 60) {
    std::vector<FrameRef> packets;
    for (uint32_t i = 0; i < n; ++i) packets.push_back({pool.take(FrameOwner::batch()) + 256, len});
    return packets;
  }

  bool all_accounted() { return pool.consistent() && port.conserved() && pool.ledger().count().sum() == kFrames; }

  std::vector<std::byte> memory = std::vector<std::byte>(kFrames * kFrameBytes);
  FrameArea area{memory};
  FramePool pool{kFrames};
  FakePort fake;
  Port port;
};

}  // namespace

TEST_CASE("a packet goes from the fill ring to the wire and its frame comes back") {
  Rig rig;
  CHECK(rig.port.refill() == 64);
  REQUIRE(rig.fake.deliver(rig.packet(60, 0x11)));
  REQUIRE(rig.fake.deliver(rig.packet(1514, 0x22)));

  const auto packets = rig.receive();
  REQUIRE(packets.size() == 2);
  CHECK(packets[0].len_bytes == 60);
  CHECK(packets[1].len_bytes == 1514);
  CHECK(packets[0].addr.offset_in_frame() == 256);
  CHECK(rig.area.bytes(packets[1])[1513] == std::byte{0x22});
  CHECK(rig.pool.ledger().count().batch == 2);

  rig.area.bytes(packets[0])[0] = std::byte{0x99};
  CHECK(rig.port.transmit(packets) == 2);
  CHECK(rig.port.tx_queued() == 2);
  CHECK(rig.fake.sent().empty());
  rig.port.kick(0);
  REQUIRE(rig.fake.sent().size() == 2);
  CHECK(rig.fake.sent()[0].bytes[0] == std::byte{0x99});
  CHECK(rig.fake.sent()[1].bytes == rig.packet(1514, 0x22));
  CHECK(rig.port.tx_outstanding() == 0);
  CHECK(rig.port.counters().tx_kicks == 1);
  CHECK(rig.port.counters().tx_completed == 2);
  CHECK(rig.pool.ledger().count() == FrameCounts{.pool = Rig::kFrames - 62, .rx = 62});
  CHECK(rig.all_accounted());
}

TEST_CASE("the receive side never has more than fill ring plus RX ring") {
  Rig rig;
  rig.port.refill();
  while (rig.fake.deliver(rig.packet(60, 1))) rig.port.refill();
  CHECK(rig.fake.rx_queued() == 64);
  CHECK(rig.fake.fill_queued() == 64);
  CHECK(rig.port.rx_outstanding() == 128);
  CHECK(rig.port.refill() == 0);
  CHECK(rig.all_accounted());
}

TEST_CASE("a refill takes what the pool has, and says that it was too little") {
  Rig rig;
  const auto kept = rig.batch(Rig::kFrames - 10);
  CHECK(rig.port.refill() == 10);
  CHECK(rig.port.counters().fill_starved == 1);
  CHECK(rig.port.refill() == 0);
  for (const FrameRef& frame : kept) rig.pool.recycle(frame.addr);
  CHECK(rig.port.refill() == 54);
  CHECK(rig.all_accounted());
}

TEST_CASE("the kernel is woken to receive when it asks for that, and only then") {
  Rig rig;
  rig.port.refill();
  CHECK(rig.fake.rx_kicks() == 0);
  rig.fake.ask_for_rx_kick();
  rig.port.refill();
  rig.port.refill();
  CHECK(rig.fake.rx_kicks() == 1);
  CHECK(rig.port.counters().rx_kicks == 1);

  rig.fake.ask_for_rx_kick();
  rig.fake.fail_rx_kicks(ENETDOWN, 1);
  rig.port.refill();
  CHECK(rig.port.is_down());
  CHECK(rig.port.counters().rx_kicks_failed == 1);
  rig.port.refill();
  CHECK_FALSE(rig.port.is_down());
}

TEST_CASE("more than the kernel's budget takes several system calls, in one kick") {
  Rig rig;
  CHECK(rig.port.transmit(rig.batch(64)) == 64);
  rig.port.kick(0);
  CHECK(rig.fake.sent().size() == 64);
  CHECK(rig.port.counters().tx_kicks == 2);
  CHECK(rig.port.counters().tx_kicks_again == 1);
  CHECK(rig.all_accounted());
}

TEST_CASE("a full TX ring takes what it has room for, and nothing is lost") {
  Rig rig;
  const auto packets = rig.batch(100);
  CHECK(rig.port.transmit(packets) == 64);
  CHECK(rig.port.transmit(std::span(packets).subspan(64)) == 0);
  for (size_t i = 64; i < packets.size(); ++i) rig.pool.recycle(packets[i].addr);
  CHECK(rig.port.counters().tx_packets == 64);
  CHECK(rig.all_accounted());
}

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

TEST_CASE("a driver that sends on its own is woken once, and only when it asks") {
  Rig rig({.tx_budget = 4, .zero_copy = true});
  rig.fake.set_tx_need_wakeup(false);
  CHECK(rig.port.transmit(rig.batch(8)) == 8);
  rig.port.kick(0);
  CHECK(rig.fake.tx_kicks() == 0);
  rig.fake.set_tx_need_wakeup(true);
  rig.port.kick(0);
  CHECK(rig.fake.tx_kicks() >= 1);
  rig.port.kick(0);
  CHECK(rig.fake.sent().size() == 8);
  CHECK(rig.all_accounted());
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

TEST_CASE("TX-only and RX-only ports do without what they lack") {
  Rig tx_only({.rx_size = 0});
  CHECK_FALSE(tx_only.port.receives());
  CHECK(tx_only.port.refill() == 0);
  CHECK(tx_only.receive().empty());
  CHECK(tx_only.port.transmit(tx_only.batch(3)) == 3);
  tx_only.port.kick(0);
  CHECK(tx_only.fake.sent().size() == 3);
  CHECK(tx_only.all_accounted());

  Rig rx_only({.tx_size = 0});
  CHECK_FALSE(rx_only.port.transmits());
  rx_only.port.refill();
  REQUIRE(rx_only.fake.deliver(rx_only.packet(60, 1)));
  const auto packets = rx_only.receive();
  REQUIRE(packets.size() == 1);
  CHECK(rx_only.port.transmit(packets) == 0);
  CHECK(rx_only.port.reap() == 0);
  rx_only.port.kick(0);
  CHECK(rx_only.fake.tx_kicks() == 0);
  rx_only.pool.recycle(packets[0].addr);
  CHECK(rx_only.all_accounted());
}

TEST_CASE("frames received by one port leave by another and come back from that one") {
  Rig in({.tx_size = 0});
  FakePort out_fake(in.area, {.rx_size = 0});
  Port out(PortId{1}, in.area, out_fake.rings(), out_fake, in.pool);
  in.port.refill();
  for (int i = 0; i < 40; ++i) REQUIRE(in.fake.deliver(in.packet(100, 5)));
  CHECK(out.transmit(in.receive()) == 40);
  CHECK(in.pool.ledger().count(FrameOwner::tx(PortId{1})) == 40);
  out.kick(0);
  CHECK(out_fake.sent().size() == 40);
  CHECK(out.conserved());
  CHECK(in.all_accounted());
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
