#include "user/ctl/flow_room.h"

#include <catch2/catch.hpp>

#include "user/lb/flow_geometry.h"

namespace xdplb {
namespace {

constexpr uint64_t kMiB = 1 << 20;

}  // namespace

TEST_CASE("flow room: the refusal says what is needed, what is free, and how many flows would fit", "[flow]") {
  const FlowRoom room{
      .tables = 2, .lacking = 2, .flows = kDefaultFlows, .needed_bytes = 228 * kMiB, .free_bytes = 64 * kMiB};
  CHECK(
      describe_lack_of_room("/dev/shm/a.flows", room) ==
      "/dev/shm/a.flows: no room for the flow tables: 228.0 MiB needed for 2 workers with 1048576 flows each, "
      "64.0 MiB free; `mount -o remount,size=...` its file system, --shm-size of a container, or a smaller --flows: "
      "280000 would fit");
}

TEST_CASE("flow room: one more table, none that fits, and a file that could go", "[flow]") {
  const FlowRoom room{.tables = 3,
                      .lacking = 1,
                      .flows = 64,
                      .needed_bytes = 4 * kMiB,
                      .free_bytes = kMiB,
                      .replaced_bytes = 8 * kMiB};
  CHECK(describe_lack_of_room("/dev/shm/a.flows", room) ==
        "/dev/shm/a.flows: no room for the flow tables: 4.0 MiB needed for 1 more worker with 64 flows each, 1.0 MiB "
        "free; `mount -o remount,size=...` its file system, --shm-size of a container, or make room; or remove the "
        "file, whose flows are forgotten then: it takes 8.0 MiB");
}

TEST_CASE("flow room: as many flows as fit do fit, and a thousand more hardly", "[flow]") {
  for (const uint64_t free : {4 * kMiB, 63 * kMiB, 114 * kMiB, 1000 * kMiB}) {
    for (const size_t tables : {1, 2}) {
      const auto flows = flows_that_fit(free, tables);
      REQUIRE(flows.has_value() == (free / tables >= flow_geometry(kMinFlows).region_bytes));
      if (!flows) continue;
      CHECK(flow_geometry(*flows).region_bytes * tables <= free);
      CHECK(flow_geometry(*flows + 1001).region_bytes * tables > free);
    }
  }
  CHECK(flows_that_fit(~uint64_t{0}, 1) == kMaxFlows / 1000 * 1000);
}

}  // namespace xdplb
