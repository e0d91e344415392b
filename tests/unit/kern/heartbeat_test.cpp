// kern/heartbeat.h: when a hung worker's packets take the fallback action, and when not.
#include "kern/heartbeat.h"

#include <catch2/catch.hpp>

namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kStart = 5'000'000'000;

// A slot that beats every millisecond may miss 20, and is given up after another 100.
xdplb_slot armed_slot() {
  xdplb_slot slot{};
  slot.ifindex = 3;
  slot.beat_ns = kStart;
  slot.stale_after_ns = 20 * kMs;
  slot.stale_grace_ns = 100 * kMs;
  return slot;
}

// The slot is looked at every `step_ns` from `from_ns` on. Returns when it was first given up, 0 if never before
// `to_ns`.
uint64_t given_up_at(xdplb_slot& slot, uint64_t from_ns, uint64_t to_ns, uint64_t step_ns) {
  for (uint64_t now_ns = from_ns; now_ns < to_ns; now_ns += step_ns)
    if (!xdplb_beats(&slot, now_ns)) return now_ns;
  return 0;
}

}  // namespace

TEST_CASE("heartbeat: a fresh beat writes nothing") {
  xdplb_slot slot = armed_slot();
  CHECK(xdplb_beats(&slot, kStart));
  CHECK(xdplb_beats(&slot, kStart + 20 * kMs));
  CHECK(slot.stale_ns == 0);
  CHECK(slot.observed_ns == 0);
}

TEST_CASE("heartbeat: the coarse clock may lag behind the beat") {
  xdplb_slot slot = armed_slot();
  CHECK(xdplb_beats(&slot, kStart - 10 * kMs));
  CHECK(slot.stale_ns == 0);
}

TEST_CASE("heartbeat: under load a hung worker is given up after stale_after and the grace") {
  xdplb_slot slot = armed_slot();
  const uint64_t at_ns = given_up_at(slot, kStart, kStart + 1000 * kMs, kMs / 10);
  CHECK(at_ns >= kStart + 120 * kMs);
  CHECK(at_ns <= kStart + 121 * kMs);
  CHECK_FALSE(xdplb_beats(&slot, at_ns + 10'000 * kMs));
}

TEST_CASE("heartbeat: a single beat ends the episode, and the next one starts from nothing") {
  xdplb_slot slot = armed_slot();
  const uint64_t at_ns = given_up_at(slot, kStart, kStart + 1000 * kMs, kMs);
  REQUIRE(at_ns != 0);
  slot.beat_ns = at_ns;
  CHECK(xdplb_beats(&slot, at_ns));
  CHECK(slot.stale_ns == 0);
  const uint64_t again_ns = given_up_at(slot, at_ns, at_ns + 1000 * kMs, kMs);
  CHECK(again_ns >= at_ns + 120 * kMs);
}

TEST_CASE("heartbeat: beats that come and go do not add up") {
  xdplb_slot slot = armed_slot();
  for (uint64_t now_ns = kStart; now_ns < kStart + 10'000 * kMs; now_ns += 90 * kMs) {
    CHECK(given_up_at(slot, now_ns, now_ns + 90 * kMs, kMs) == 0);
    slot.beat_ns = now_ns + 90 * kMs;
  }
}

TEST_CASE("heartbeat: a pause of the whole machine gives nobody up") {
  const uint64_t pause_ns = 3600'000 * kMs;
  SECTION("between two packets of a healthy worker") {
    xdplb_slot slot = armed_slot();
    CHECK(xdplb_beats(&slot, kStart));
    CHECK(xdplb_beats(&slot, kStart + pause_ns));  // before the worker had its turn
    CHECK(given_up_at(slot, kStart + pause_ns, kStart + pause_ns + 90 * kMs, kMs) == 0);
  }
  SECTION("in the middle of an episode it counts as one observation") {
    xdplb_slot slot = armed_slot();
    CHECK(given_up_at(slot, kStart, kStart + 60 * kMs, kMs) == 0);  // 40 ms of the grace
    CHECK(xdplb_beats(&slot, kStart + pause_ns));                   // 50 more
    CHECK_FALSE(xdplb_beats(&slot, kStart + pause_ns + 20 * kMs));
  }
}

TEST_CASE("heartbeat: sparse traffic gives up a hung worker, too") {
  xdplb_slot slot = armed_slot();
  const uint64_t second_ns = 1000 * kMs;
  CHECK(given_up_at(slot, kStart + second_ns, kStart + 60 * second_ns, second_ns) == kStart + 3 * second_ns);
}
