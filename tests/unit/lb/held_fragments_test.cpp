// Held fragments: by example, and a million random operations in which every frame comes back exactly once.
#include "user/lb/held_fragments.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <random>
#include <utility>
#include <vector>

namespace xdplb {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr HeldLimits kSmall = {.frames_max = 6, .datagram_frames_max = 4, .datagrams_max = 3, .wait_ns = 100 * kMs};

using Frames = std::vector<uint64_t>;

struct Rig {
  explicit Rig(const HeldLimits& limits = kSmall) : held(limits) {}
  bool hold(uint64_t hash, uint64_t frame, uint64_t now_ms = 0) {
    return held.hold(hash, {.frame = frame, .len_bytes = 60}, now_ms * kMs,
                     [&](HeldFrame f) { dropped.push_back(f.frame); });
  }
  Frames take(uint64_t hash) {
    Frames frames;
    const uint32_t count = held.take(hash, [&](HeldFrame f) { frames.push_back(f.frame); });
    CHECK(count == frames.size());
    return frames;
  }
  Frames expire(uint64_t now_ms) {
    Frames frames;
    held.expire(now_ms * kMs, [&](HeldFrame f) { frames.push_back(f.frame); });
    return frames;
  }
  Frames take_dropped() { return std::exchange(dropped, {}); }

  HeldFragments held;
  Frames dropped;
};

}  // namespace

TEST_CASE("held fragments: they leave in the order in which they came", "[fragment]") {
  Rig rig;
  CHECK(rig.held.empty());
  CHECK(rig.hold(10, 3));
  CHECK(rig.hold(11, 9));
  CHECK(rig.hold(10, 2));
  CHECK(rig.hold(10, 1));
  CHECK(rig.hold(10, 1));  // a duplicate is a frame like any other
  CHECK(rig.held.frames() == 5);
  CHECK(rig.take(10) == Frames{3, 2, 1, 1});
  CHECK(rig.take(10).empty());
  CHECK(rig.take(12).empty());
  CHECK(rig.held.frames() == 1);
  CHECK(rig.take(11) == Frames{9});
  CHECK(rig.held.empty());
}

TEST_CASE("held fragments: the first that never comes", "[fragment]") {
  Rig rig;
  rig.hold(10, 1, 0);
  rig.hold(11, 2, 50);
  rig.hold(10, 3, 90);  // does not make its datagram younger
  CHECK(rig.expire(99).empty());
  CHECK(rig.expire(100) == Frames{1, 3});
  CHECK(rig.expire(149).empty());
  CHECK(rig.expire(150) == Frames{2});
  CHECK(rig.held.empty());
}

TEST_CASE("held fragments: a datagram has its bound", "[fragment]") {
  Rig rig;
  for (uint64_t frame = 0; frame < 4; ++frame) CHECK(rig.hold(10, frame));
  CHECK_FALSE(rig.hold(10, 4));
  CHECK(rig.dropped.empty());
  CHECK(rig.take(10) == Frames{0, 1, 2, 3});
}

TEST_CASE("held fragments: who has waited longest makes room", "[fragment]") {
  Rig rig;
  rig.hold(10, 1);
  rig.hold(11, 2);
  rig.hold(12, 3);
  CHECK(rig.hold(13, 4));  // a fourth datagram
  CHECK(rig.take_dropped() == Frames{1});
  rig.hold(11, 5);
  rig.hold(11, 6);
  rig.hold(11, 7);
  CHECK(rig.held.frames() == 6);
  CHECK(rig.hold(12, 8));  // a seventh frame
  CHECK(rig.take_dropped() == Frames{2, 5, 6, 7});
  CHECK(rig.take(12) == Frames{3, 8});
  CHECK(rig.take(13) == Frames{4});
}

TEST_CASE("held fragments: room is not made at one's own cost", "[fragment]") {
  Rig rig({.frames_max = 3, .datagram_frames_max = 9, .datagrams_max = 3, .wait_ns = kMs});
  rig.hold(10, 1);
  rig.hold(11, 2);
  rig.hold(10, 3);
  CHECK(rig.hold(10, 4));  // the oldest is its own: the next must go
  CHECK(rig.take_dropped() == Frames{2});
  CHECK_FALSE(rig.hold(10, 5));
  CHECK(rig.dropped.empty());
  CHECK(rig.take(10) == Frames{1, 3, 4});
}

TEST_CASE("held fragments: asking for what waits, and stopping", "[fragment]") {
  Rig rig;
  rig.hold(10, 1);
  rig.hold(11, 2);
  rig.hold(12, 3);
  std::vector<uint64_t> asked;
  Frames taken;
  rig.held.for_each_waiting([&](uint64_t hash) {
    asked.push_back(hash);
    if (hash != 11) rig.held.take(hash, [&](HeldFrame f) { taken.push_back(f.frame); });
  });
  CHECK(asked == std::vector<uint64_t>{10, 11, 12});
  CHECK(taken == Frames{1, 3});
  CHECK(rig.held.frames() == 1);
  Frames rest;
  CHECK(rig.held.drain([&](HeldFrame f) { rest.push_back(f.frame); }) == 1);
  CHECK(rest == Frames{2});
  CHECK(rig.held.empty());
}

TEST_CASE("held fragments: a million operations answer as a list does", "[fragment][model]") {
  struct Waiting {
    uint64_t hash;
    uint64_t since_ms;
    Frames frames;
  };
  const HeldLimits limits = {.frames_max = 40, .datagram_frames_max = 5, .datagrams_max = 12, .wait_ns = 100 * kMs};
  Rig rig(limits);
  std::deque<Waiting> model;  // longest waiting first
  std::mt19937_64 random(4);
  uint64_t now_ms = 0, next_frame = 0, made_room = 0, refused = 0;
  auto frames_in_model = [&] {
    size_t count = 0;
    for (const Waiting& w : model) count += w.frames.size();
    return count;
  };
  auto of = [&](uint64_t hash) {
    return std::find_if(model.begin(), model.end(), [&](const Waiting& w) { return w.hash == hash; });
  };
  for (int i = 0; i < 1'000'000; ++i) {
    const uint64_t hash = std::min(random() % 30, random() % 30) * 16;  // collide in the chains
    const uint64_t what = random() % 100;
    if (what < 80) {
      auto own = of(hash);
      Frames expected_drops;
      bool expected = true;
      if (own != model.end() && own->frames.size() == limits.datagram_frames_max) {
        expected = false;
      } else {
        if (frames_in_model() == limits.frames_max) {
          auto victim = own == model.begin() ? std::next(own) : model.begin();
          expected_drops = victim->frames;
          model.erase(victim);
        }
        if (of(hash) == model.end()) {
          if (model.size() == limits.datagrams_max) {
            expected_drops.insert(expected_drops.end(), model.front().frames.begin(), model.front().frames.end());
            model.pop_front();
          }
          model.push_back({.hash = hash, .since_ms = now_ms, .frames = {}});
        }
        of(hash)->frames.push_back(next_frame);
      }
      REQUIRE(rig.hold(hash, next_frame++, now_ms) == expected);
      refused += !expected;
      made_room += !expected_drops.empty();
      REQUIRE(rig.take_dropped() == expected_drops);
    } else if (what < 90) {
      const auto own = of(hash);
      const Frames expected = own == model.end() ? Frames{} : own->frames;
      if (own != model.end()) model.erase(own);
      REQUIRE(rig.take(hash) == expected);
    } else {
      now_ms += random() % 20;
      Frames expected;
      while (!model.empty() && now_ms - model.front().since_ms >= 100) {
        expected.insert(expected.end(), model.front().frames.begin(), model.front().frames.end());
        model.pop_front();
      }
      REQUIRE(rig.expire(now_ms) == expected);
    }
    REQUIRE(rig.held.frames() == frames_in_model());
  }
  CHECK(made_room > 1000);
  CHECK(refused > 1000);
}

}  // namespace xdplb
