#include "user/lb/target_history.h"

#include <catch2/catch.hpp>

namespace xdplb {
namespace {

Target target(const char* name, uint16_t id, uint16_t epoch) {
  Target t;
  t.name = name;
  t.mac = MacAddr{{2, 0, 0, 0, 0, static_cast<uint8_t>(id + 1)}};
  t.id = id;
  t.epoch = epoch;
  return t;
}

Config with(std::vector<Target> targets) {
  Config config;
  config.targets = std::move(targets);
  return config;
}

std::string text(const TargetHistory& history, uint16_t id, uint16_t epoch) {
  const TargetChange* change = history.of({id, epoch});
  return change == nullptr ? "" : change->text();
}

}  // namespace

TEST_CASE("target history: the generation of each target's last change, and what it was") {
  TargetHistory history;
  CHECK(history.latest() == nullptr);
  const Config first = with({target("a", 0, 1), target("b", 1, 2)});
  history.note(first, first, 2);
  CHECK(history.latest() == nullptr);

  Config next = first;
  next.targets[1].state = TargetState::draining;
  history.note(first, next, 3);
  CHECK(text(history, 1, 2) == "b began to drain in generation 3");
  CHECK(text(history, 0, 1).empty());

  Config heavier = next;
  heavier.targets[0].weight = 7;
  history.note(next, heavier, 4);
  CHECK(text(history, 0, 1) == "a got weight 7 in generation 4");

  Config down = heavier;
  down.targets[1].state = TargetState::down;
  history.note(heavier, down, 5);
  CHECK(text(history, 1, 2) == "b went down in generation 5");
  CHECK(history.latest()->name == "b");

  Config without_mac = down;
  without_mac.targets[0].mac = {};
  history.note(down, without_mac, 6);
  CHECK(text(history, 0, 1) == "a lost its MAC in generation 6");
}

TEST_CASE("target history: a target that is gone is told from the one that has its number now") {
  TargetHistory history;
  const Config first = with({target("a", 0, 1), target("b", 1, 2)});
  const Config second = with({target("a", 0, 1), target("c", 1, 3)});
  history.note(first, second, 9);
  CHECK(text(history, 1, 2) == "b left in generation 9");
  CHECK(text(history, 1, 3) == "c came in generation 9");
  CHECK(text(history, 1, 4).empty());
}

TEST_CASE("target history: bounded, and the oldest is forgotten first") {
  TargetHistory history;
  Config now = with({target("first", 0, 0)});
  history.note({}, now, 1);
  for (uint32_t n = 1; n <= kTargetChangesMax; ++n) {
    const auto epoch = static_cast<uint16_t>(n);
    const Config next = with({target(fmt::format("t{}", n).c_str(), 1, epoch)});
    history.note(now, next, n + 1);
    now = next;
  }
  CHECK(text(history, 0, 0).empty());
  CHECK(text(history, 1, static_cast<uint16_t>(kTargetChangesMax)) ==
        fmt::format("t{} came in generation {}", kTargetChangesMax, kTargetChangesMax + 1));
}

}  // namespace xdplb
