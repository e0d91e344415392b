#include "user/path/turn_pause.h"

#include <catch2/catch.hpp>

namespace xdplb {
namespace {

constexpr uint32_t kBusy = TurnPause::kBusyPackets;

TEST_CASE("a queue that is busy turn after turn is left alone, and only while it is") {
  TurnPause pause(0);
  for (int round = 0; round < 3; ++round) {
    for (uint32_t turn = 1; turn < TurnPause::kBusyTurns; ++turn) REQUIRE(pause.after(kBusy, false) == 0);
    for (int turn = 0; turn < 100; ++turn) REQUIRE(pause.after(kBusy, false) == TurnPause::kBusyPauseNs);
    CHECK(pause.after(kBusy - 1, false) == 0);  // it has become quieter
  }
  for (int turn = 0; turn < 100; ++turn) REQUIRE(pause.after(kBusy - 1, false) == 0);
}

TEST_CASE("what was left behind is fetched at once, however busy the queue") {
  TurnPause pause(GENERATE(0u, 100u));
  for (int turn = 0; turn < 100; ++turn) REQUIRE(pause.after(4 * kBusy, true) == 0);
}

TEST_CASE("who coalesces pauses after every turn, for as long as was asked for") {
  TurnPause pause(100);
  for (int turn = 0; turn < 100; ++turn) {
    REQUIRE(pause.after(1, false) == 100'000);
    REQUIRE(pause.after(kBusy, false) == 100'000);
  }
}

}  // namespace
}  // namespace xdplb
