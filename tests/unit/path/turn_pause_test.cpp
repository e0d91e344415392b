#include "user/path/turn_pause.h"

#include <catch2/catch.hpp>

namespace xdplb {
namespace {

constexpr uint32_t kBusy = TurnPause::kBusyPackets;
constexpr uint32_t kRing = 4096;
constexpr uint64_t kPauseNs = TurnPause::kBusyPauseMaxNs;

// A worker whose turns take `spent_ns`, `idle_ns` after one another.
class Turns {
 public:
  explicit Turns(uint32_t coalesce_us) : pause_(coalesce_us, kRing) { one(1, 0, 0); }

  uint64_t one(uint32_t packets, uint64_t spent_ns, uint64_t idle_ns, bool has_more = false) {
    const uint64_t start_ns = now_ns_ + idle_ns;
    now_ns_ = start_ns + spent_ns;
    return pause_.after({packets, has_more, start_ns, now_ns_});
  }

 private:
  TurnPause pause_;
  uint64_t now_ns_ = 1'000'000'000;
};

TEST_CASE("a worker that is busy turn after turn pauses, and only while it is") {
  Turns turns(0);
  for (int round = 0; round < 3; ++round) {
    for (uint32_t turn = 1; turn < TurnPause::kBusyTurns; ++turn) REQUIRE(turns.one(kBusy, 30'000, 1'000) == 0);
    // The pause is idle time, too.
    for (int turn = 0; turn < 100; ++turn) REQUIRE(turns.one(kBusy, kPauseNs + 10'000, kPauseNs) == kPauseNs);
    SECTION("fewer packets") {
      CHECK(turns.one(kBusy - 1, kPauseNs + 10'000, kPauseNs) == 0);
    }
    SECTION("less work") {
      CHECK(turns.one(kBusy, kPauseNs - 10'000, kPauseNs) == 0);
    }
    CHECK(turns.one(1, 1'000, 1'000) == 0);
  }
}

TEST_CASE("a worker that is idle for half of its time never pauses, however many packets it finds") {
  Turns turns(0);
  for (int turn = 0; turn < 100; ++turn) REQUIRE(turns.one(10 * kBusy, 50'000, 50'000) == 0);
}

TEST_CASE("what was left behind is fetched at once, however busy the worker") {
  Turns turns(GENERATE(0u, 100u));
  for (int turn = 0; turn < 100; ++turn) REQUIRE(turns.one(4 * kBusy, 100'000, 0, true) == 0);
}

TEST_CASE("the pause goes by the ring, so that a small one does not overflow meanwhile, up to a limit") {
  const auto pause_of = [](uint32_t rx_entries) {
    TurnPause pause(0, rx_entries);
    uint64_t ns = 0;
    for (uint64_t turn = 1; turn <= TurnPause::kBusyTurns + 1; ++turn) {
      ns = pause.after({kBusy, false, turn * 100'000 + 10'000, (turn + 1) * 100'000});
    }
    return ns;
  };
  CHECK(pause_of(512) == 25'600);
  CHECK(pause_of(2048) == 102'400);
  CHECK(pause_of(4096) == 200'000);
  CHECK(pause_of(65536) == 200'000);
}

TEST_CASE("who coalesces pauses after every turn, for as long as was asked for") {
  Turns turns(100);
  for (int turn = 0; turn < 100; ++turn) {
    REQUIRE(turns.one(1, 1'000, 100'000) == 100'000);
    REQUIRE(turns.one(kBusy, 200'000, 100'000) == 100'000);
  }
}

}  // namespace
}  // namespace xdplb
