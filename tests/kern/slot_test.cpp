// Where xdp_vip sends a VIP's packet: slots, sockets, the fallback action and the heartbeat; and what that costs.
#include <unistd.h>

#include <algorithm>

#include <catch2/catch.hpp>
#include <cstdio>
#include <vector>

#include "tests/kern/vip_rig.h"
#include "user/base/clock.h"

using namespace xdplb;
using namespace xdplb::frames;

namespace {

constexpr auto kVip = "10.0.0.0";

Bytes packet() {
  return ether(kIpv4, ipv4(kVip, kUdp, transport(80)));
}

// Slot 0 on queue 0 of the first device, with a beat that is `age_ns` old.
xdplb_slot slot_with_beat(uint64_t age_ns, uint64_t stale_after_ns, uint64_t stale_grace_ns) {
  xdplb_slot slot{};
  slot.ifindex = static_cast<uint32_t>(test_devices().first);
  slot.beat_ns = monotonic_ns() - age_ns;
  slot.stale_after_ns = stale_after_ns;
  slot.stale_grace_ns = stale_grace_ns;
  return slot;
}

void beat(VipRig& rig) {
  xdplb_slot slot = rig.slot(0);
  slot.beat_ns = monotonic_ns();
  rig.set_slot(0, slot);
}

}  // namespace

TEST_CASE("slot: a VIP's fallback action where no socket serves") {
  struct Fallback {
    int value;
    Verdict verdict;
  };
  const Fallback cases[] = {{1, kDrop}, {2, kPass}, {0, kDrop}, {3, kDrop}, {4, kDrop}, {77, kDrop}, {-1, kDrop}};
  for (const Fallback& c : cases) {
    INFO("value " << c.value);
    VipRig rig;
    rig.add_vip(kVip, c.value);
    CHECK(rig.run(packet()) == c.verdict);
    CHECK(rig.count(XDPLB_COUNT_UNARMED) == 1);

    rig.arm(0, test_devices().first, 0);
    CHECK(rig.run(packet()) == kRedirect);
    rig.remove_socket(0);
    CHECK(rig.run(packet()) == c.verdict);
    CHECK(rig.count(XDPLB_COUNT_NO_SOCKET) == 1);

    rig.put_socket(0);
    rig.set_slot(0, slot_with_beat(kNsPerSec, kNsPerMs, 0));
    CHECK(rig.run(packet()) == c.verdict);
    CHECK(rig.slot(0).fallback == 1);
    CHECK(rig.count(XDPLB_COUNT_UNARMED) == 1);
    CHECK(rig.count(XDPLB_COUNT_NO_SOCKET) == 1);
  }
}

TEST_CASE("slot: only the device and queue that a slot names") {
  VipRig rig;
  rig.add_vip(kVip, XDPLB_FALLBACK_DROP);
  const int first = test_devices().first, second = test_devices().second;
  rig.arm(0, first, 0);
  CHECK(rig.run(packet(), first, 0) == kRedirect);
  CHECK(rig.run(packet(), second, 0) == kDrop);
  CHECK(rig.run(packet(), first, 1) == kDrop);

  rig.put_socket(63);
  rig.arm(63, first, 63);
  CHECK(rig.run(packet(), first, 63) == kRedirect);
  CHECK(rig.run(packet(), first, 62) == kDrop);
  CHECK(rig.slot(63).redirected == 1);
}

TEST_CASE("slot: queue 64 and beyond is never served, and never another slot's") {
  VipRig rig;
  rig.add_vip(kVip, XDPLB_FALLBACK_PASS);
  const int first = test_devices().first;
  for (uint32_t i = 0; i < XDPLB_MAX_SLOTS; i++) {
    rig.put_socket(i);
    rig.arm(i, first, i % XDPLB_MAX_QUEUES);
  }
  for (uint32_t queue = 64; queue < 70; queue++) CHECK(rig.run(packet(), first, queue) == kPass);
  CHECK(rig.count(XDPLB_COUNT_UNARMED) == 6);
}

TEST_CASE("slot: every device ordinal has its own 64") {
  const int first = test_devices().first, second = test_devices().second;
  for (uint32_t device = 0; device < XDPLB_MAX_DEVICES; device++) {
    INFO("device ordinal " << device);
    VipRig rig;
    rig.add_vip(kVip, XDPLB_FALLBACK_DROP);
    for (uint32_t d = 0; d < XDPLB_MAX_DEVICES; d++)
      rig.arm(d * XDPLB_MAX_QUEUES + 5, 1'000'000 + static_cast<int>(d), 5);
    const uint32_t index = device * XDPLB_MAX_QUEUES + 5;
    rig.put_socket(index);
    rig.arm(index, second, 5);
    CHECK(rig.run(packet(), second, 5) == kRedirect);
    CHECK(rig.run(packet(), first, 5) == kDrop);
    CHECK(rig.slot(index).redirected == 1);
  }
}

TEST_CASE("slot: an unserved device is untouched: zero is nobody's ifindex") {
  VipRig rig;
  rig.add_vip(kVip, XDPLB_FALLBACK_DROP);
  rig.arm(0, 0, 0);
  CHECK(rig.run(packet()) == kDrop);
  CHECK(rig.run(ether(kIpv4, ipv4("10.0.0.1", kUdp, transport(80)))) == kPass);
}

TEST_CASE("slot: the heartbeat") {
  VipRig rig;
  rig.add_vip(kVip, XDPLB_FALLBACK_DROP);

  SECTION("fresh, and off") {
    rig.set_slot(0, slot_with_beat(0, kNsPerSec, 0));
    CHECK(rig.run(packet()) == kRedirect);
    CHECK(rig.slot(0).stale_ns == 0);
    rig.set_slot(0, slot_with_beat(3600 * kNsPerSec, 0, 0));
    CHECK(rig.run(packet()) == kRedirect);
  }
  SECTION("a beat from the near future, as the coarse clock sees it") {
    xdplb_slot slot = slot_with_beat(0, kNsPerMs, 0);
    slot.beat_ns += 20 * kNsPerMs;
    rig.set_slot(0, slot);
    CHECK(rig.run(packet()) == kRedirect);
  }
  SECTION("stale: not before the grace is over, then the fallback until the next beat") {
    const uint64_t start_ns = monotonic_ns();
    rig.set_slot(0, slot_with_beat(kNsPerSec, 10 * kNsPerMs, 60 * kNsPerMs));
    uint64_t passed_ns = 0;
    while (rig.run(packet()) == kRedirect && passed_ns < 5 * kNsPerSec) {
      usleep(1000);
      passed_ns = monotonic_ns() - start_ns;
    }
    CHECK(rig.run(packet()) == kDrop);
    CHECK(monotonic_ns() - start_ns >= 50 * kNsPerMs);  // the clock of the program is a tick coarse
    CHECK(rig.slot(0).stale_ns > 60 * kNsPerMs);
    CHECK(rig.slot(0).fallback == 2);
    beat(rig);
    CHECK(rig.run(packet()) == kRedirect);
    CHECK(rig.slot(0).stale_ns == 0);
  }
  SECTION("a pause of the machine in an episode counts as one observation") {
    xdplb_slot slot = slot_with_beat(3600 * kNsPerSec, 10 * kNsPerMs, 60 * kNsPerMs);
    slot.observed_ns = slot.beat_ns + 20 * kNsPerMs;  // before the pause
    slot.stale_ns = 1;
    rig.set_slot(0, slot);
    CHECK(rig.run(packet()) == kRedirect);
    CHECK(rig.slot(0).stale_ns == XDPLB_OBSERVATION_MAX_NS + 1);
  }
  SECTION("a pause of the machine before an episode counts for nothing") {
    xdplb_slot slot = slot_with_beat(3600 * kNsPerSec, 10 * kNsPerMs, 5 * kNsPerMs);
    rig.set_slot(0, slot);
    CHECK(rig.run(packet()) == kRedirect);
    CHECK(rig.slot(0).stale_ns == 1);
  }
}

// build/kern-tests "[bench]": nanoseconds per packet, medians of nine interleaved runs.
TEST_CASE("what a packet costs", "[.][bench]") {
  struct Subject {
    EmbeddedObject object;
    const char* name;
    Bytes frame;
    uint64_t stale_after_ns;
    VipRig rig{object};
    std::vector<uint32_t> ns{};
  };
  std::vector<Subject> subjects;
  for (const EmbeddedObject& object : {vip_object(), vip_live_object()}) {
    subjects.push_back({object, "not IP", ether(kArp, Bytes(46)), 0});
    subjects.push_back({object, "not for a VIP", ether(kIpv4, ipv4("10.0.0.1", kUdp, transport(80))), 0});
    subjects.push_back({object, "for a VIP, no heartbeat", packet(), 0});
    subjects.push_back({object, "for a VIP, heartbeat", packet(), 3600 * kNsPerSec});
  }
  for (Subject& s : subjects) {
    s.rig.add_vip(kVip, XDPLB_FALLBACK_DROP);
    s.rig.set_slot(0, slot_with_beat(0, s.stale_after_ns, 0));
  }
  for (int round = 0; round < 9; round++)
    for (Subject& s : subjects) s.ns.push_back(s.rig.measure(s.frame, 1'000'000));
  for (Subject& s : subjects) {
    std::sort(s.ns.begin(), s.ns.end());
    std::printf("%-12s %-24s %3u ns (%u to %u)\n", s.object.program, s.name, s.ns[4], s.ns.front(), s.ns.back());
    CHECK(s.ns[4] < 1000);
  }
}
