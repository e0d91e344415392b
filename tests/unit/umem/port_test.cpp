// A port where all goes well; port_faults_test.cpp is about the rest.
#include "umem/port.h"

#include <catch2/catch.hpp>
#include <cerrno>

#include "tests/unit/umem/port_rig.h"

using namespace xdplb;
using xdplb::testing::FakePort;
using xdplb::testing::FakePortOptions;
using xdplb::testing::Rig;

TEST_CASE("a packet goes from the fill ring to the wire and its frame comes back") {
  Rig rig;
  CHECK(rig.port.refill() == 64);
  REQUIRE(rig.fake.deliver(rig.packet(60, 0x11)));
  REQUIRE(rig.fake.deliver(rig.packet(1514, 0x22)));

  const auto packets = rig.receive();
  REQUIRE(packets.size() == 2);
  CHECK(packets[0].len_bytes == 60);
  CHECK(packets[1].len_bytes == 1514);
  CHECK(kLargeFrames.offset_in(packets[0].addr) == 256);
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
