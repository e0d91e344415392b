// Fragments in a worker: held, released, given up.
#include <map>

#include "tests/unit/path/worker_test_rig.h"

namespace xdplb {
namespace {

using testing::as_bytes;
using testing::fragment;
using Rig = testing::WorkerTestRig;
using testing::udp_packet;

TEST_CASE("a fragment that comes before the first is held and leaves when that came") {
  Rig rig;
  rig.turn();
  REQUIRE(rig.in().deliver(fragment(7, false)));
  rig.turn();
  CHECK(rig.out().sent().empty());
  CHECK(rig.counters().held.get() == 1);
  rig.check_conserved();
  REQUIRE(rig.in().deliver(fragment(7, true)));
  rig.turn();
  const auto sent = rig.out().take_sent();
  REQUIRE(sent.size() == 2);
  CHECK(Rig::target_of(sent[0]) == Rig::target_of(sent[1]));
  CHECK(rig.counters().held.get() == 0);
  rig.check_conserved();
  // A later one of the same datagram follows at once.
  REQUIRE(rig.in().deliver(fragment(7, false)));
  rig.turn();
  CHECK(Rig::target_of(rig.out().sent()[0]) == Rig::target_of(sent[0]));
}

TEST_CASE(
    "fragments go alike whether they come in one batch or one by one, also where an identification is used again") {
  // Two datagrams of one identification, of flows that go to different targets: what came before the first one's
  // first fragment is the first one's.
  const auto piece = [](uint16_t port, unsigned offset) { return as_bytes(test::udp_fragment(7, offset, port)); };
  const auto target_of_port = [&](uint16_t port) {
    Rig rig;
    rig.turn();
    REQUIRE(rig.in().deliver(udp_packet(port)));
    rig.turn();
    return Rig::target_of(rig.out().sent()[0]);
  };
  uint16_t other = 2;
  while (target_of_port(other) == target_of_port(1)) ++other;
  const std::vector<std::vector<std::byte>> orders[] = {
      {piece(1, 4), piece(1, 0), piece(other, 0)},
      {piece(1, 4), piece(1, 0), piece(1, 5), piece(other, 0), piece(other, 6)},
      {piece(1, 0), piece(other, 0), piece(other, 4)},
      {piece(1, 0), piece(1, 4), piece(other, 0), piece(other, 4)},
  };
  for (const auto& order : orders) {
    std::map<std::vector<std::byte>, uint8_t> one_by_one, at_once;
    for (auto* sent : {&one_by_one, &at_once}) {
      Rig rig;
      rig.turn();
      for (const auto& packet : order) {
        REQUIRE(rig.in().deliver(packet));
        if (sent == &one_by_one) rig.turn();
      }
      rig.turn();
      for (const auto& packet : rig.out().sent()) {
        (*sent)[{packet.bytes.begin() + 12, packet.bytes.end()}] = Rig::target_of(packet);
      }
      rig.check_conserved();
    }
    REQUIRE(at_once.size() == order.size());
    CHECK(at_once == one_by_one);
  }
}

TEST_CASE("a held fragment whose first one never comes is dropped in time, and at the end") {
  Rig rig;
  rig.turn();
  REQUIRE(rig.in().deliver(fragment(7, false)));
  rig.turn();
  rig.turn(HeldLimits().wait_ns);
  CHECK(rig.drops(Reason::fragment_timeout) == 1);
  rig.check_conserved();
  REQUIRE(rig.in().deliver(fragment(8, false)));
  rig.turn();
  rig.worker().drop_held();
  CHECK(rig.drops(Reason::shutdown) == 1);
  rig.check_conserved();
}

}  // namespace
}  // namespace xdplb
