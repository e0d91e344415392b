#include "user/lb/neighbour_watch.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace xdplb {
namespace {

const IpAddr kA = parse_ip("192.168.1.2").value();
const IpAddr kB = parse_ip("fd00::2").value();
const MacAddr kMacA{{2, 0, 0, 0, 0, 1}};
const MacAddr kMacB{{2, 0, 0, 0, 0, 2}};
constexpr size_t kMany = 100;

NeighbourWatch watch_of(const std::vector<IpAddr>& addresses) {
  NeighbourWatch watch;
  watch.follow(addresses);
  return watch;
}

Reach reach_of(const NeighbourWatch& watch, const IpAddr& address) {
  return watch.find(address).value().reach;
}

}  // namespace

TEST_CASE("neighbour watch: asked for, found, moved, lost and found again") {
  NeighbourWatch watch = watch_of({kA});
  CHECK(watch.is_resolving());
  CHECK(watch.take_due(0, kMany) == std::vector{kA});
  watch.heard(kA, NeighbourNews::pending, {});
  CHECK(watch.is_resolving());
  watch.heard(kA, NeighbourNews::confirmed, kMacA);
  CHECK(watch.find(kA) == ReachState{Reach::reachable, kMacA});
  watch.heard(kA, NeighbourNews::confirmed, kMacB);
  CHECK(watch.find(kA) == ReachState{Reach::reachable, kMacB});
  watch.heard(kA, NeighbourNews::failed, {});
  CHECK(watch.find(kA) == ReachState{Reach::unreachable, kMacB});
  // The next attempt is no sign of life.
  watch.heard(kA, NeighbourNews::pending, {});
  CHECK(reach_of(watch, kA) == Reach::unreachable);
  watch.heard(kA, NeighbourNews::stale, kMacA);
  CHECK(watch.find(kA) == ReachState{Reach::reachable, kMacA});
}

TEST_CASE("neighbour watch: what the kernel has forgotten or asks for again is still where it was") {
  NeighbourWatch watch = watch_of({kA});
  watch.heard(kA, NeighbourNews::confirmed, kMacA);
  watch.heard(kA, NeighbourNews::pending, {});
  CHECK(watch.find(kA) == ReachState{Reach::reachable, kMacA});
}

TEST_CASE("neighbour watch: the kernel is asked once a second, but for what it has just confirmed") {
  NeighbourWatch watch = watch_of({kA, kB});
  CHECK(watch.take_due(0, kMany).size() == 2);
  CHECK(watch.take_due(kNeighbourAskEveryNs - 1, kMany).empty());
  watch.heard(kA, NeighbourNews::confirmed, kMacA);
  CHECK(watch.take_due(kNeighbourAskEveryNs, kMany) == std::vector{kB});
  watch.heard(kA, NeighbourNews::stale, kMacA);
  CHECK(watch.take_due(kNeighbourAskEveryNs + 1, kMany) == std::vector{kA});
  watch.heard(kA, NeighbourNews::confirmed, kMacA);
  watch.doubt_all();
  CHECK(watch.take_due(kNeighbourAskEveryNs + 2, kMany).size() == 2);
}

TEST_CASE("neighbour watch: with more to ask than fits, everybody's turn comes") {
  std::vector<IpAddr> addresses;
  for (uint8_t i = 0; i < 100; ++i) addresses.push_back(IpAddr::v4(std::array<uint8_t, 4>{10, 0, 0, i}.data()));
  NeighbourWatch watch = watch_of(addresses);
  std::vector<IpAddr> asked;
  for (int i = 0; i < 10; ++i) {
    const auto due = watch.take_due(5, 10);
    CHECK(due.size() == 10);
    asked.insert(asked.end(), due.begin(), due.end());
  }
  std::sort(asked.begin(), asked.end());
  CHECK(asked == addresses);
  CHECK(watch.take_due(5, 10).empty());
}

TEST_CASE("neighbour watch: changes are told once, and only those that matter") {
  NeighbourWatch watch = watch_of({kA, kB});
  CHECK(watch.take_changes().empty());
  watch.heard(kA, NeighbourNews::confirmed, kMacA);
  const auto found = watch.take_changes();
  REQUIRE(found.size() == 1);
  CHECK(found[0].address == kA);
  CHECK(found[0].before.mac.is_zero());
  CHECK(found[0].now.mac == kMacA);
  watch.heard(kA, NeighbourNews::stale, kMacA);
  watch.heard(kA, NeighbourNews::confirmed, kMacA);
  CHECK(watch.take_changes().empty());
}

TEST_CASE("neighbour watch: those that stay keep what is known, those that go are nobody") {
  NeighbourWatch watch = watch_of({kA, kB});
  watch.heard(kA, NeighbourNews::confirmed, kMacA);
  watch.follow({kA});
  CHECK(watch.find(kA) == ReachState{Reach::reachable, kMacA});
  CHECK_FALSE(watch.find(kB));
  watch.heard(kB, NeighbourNews::confirmed, kMacB);
  CHECK_FALSE(watch.find(kB));
  watch.follow({});
  CHECK(watch.empty());
  CHECK(watch.take_due(0, kMany).empty());
}

TEST_CASE("neighbour watch: behind a gateway no answer counts, and it is looked at again") {
  NeighbourWatch watch = watch_of({kA});
  watch.set_off_link(kA, true);
  watch.heard(kA, NeighbourNews::confirmed, kMacA);
  CHECK(reach_of(watch, kA) == Reach::off_link);
  CHECK(watch.take_due(0, kMany) == std::vector{kA});
  watch.set_off_link(kA, false);
  CHECK(reach_of(watch, kA) == Reach::resolving);
  watch.heard(kA, NeighbourNews::confirmed, kMacA);
  CHECK(reach_of(watch, kA) == Reach::reachable);
}

TEST_CASE("neighbour watch: a MAC of ours, or of everybody, is no target's") {
  NeighbourWatch watch = watch_of({kA, kB});
  watch.set_own({kMacA});
  watch.heard(kA, NeighbourNews::confirmed, kMacA);
  CHECK(reach_of(watch, kA) == Reach::looping);
  watch.heard(kB, NeighbourNews::confirmed, MacAddr{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}});
  CHECK(reach_of(watch, kB) == Reach::looping);
  watch.heard(kA, NeighbourNews::confirmed, kMacB);
  CHECK(reach_of(watch, kA) == Reach::reachable);
  watch.set_own({kMacB});
  CHECK(reach_of(watch, kA) == Reach::looping);
}

}  // namespace xdplb
