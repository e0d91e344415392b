// Two workers on two queues write no cache line in common for a packet. Shown by addresses: everything that a worker
// writes, made as the daemon makes it, one worker after the other. What is left out is shared by design and not
// written for each packet: the fragment table (a first fragment's decision).
#include <catch2/catch.hpp>
#include <cstdint>
#include <memory>
#include <set>
#include <vector>

#include "kern/abi.h"
#include "tests/support/flow_fixture.h"
#include "umem/port.h"
#include "user/lb/flush_box.h"
#include "user/path/counters.h"
#include "user/path/worker_thread.h"

namespace xdplb {
namespace {

// An object of such a type begins with a line and ends with one, wherever it lies.
template <typename T>
constexpr bool kHasItsLines = alignof(T) % kLineBytes == 0;

static_assert(kHasItsLines<Worker>);  // the batch, steering, and what it knows of its ports
static_assert(kHasItsLines<WorkerThread> && kHasItsLines<Port> && kHasItsLines<FramePool>);
static_assert(kHasItsLines<WorkerCounters> && kHasItsLines<WorkerEpoch> && kHasItsLines<FlushBox>);
static_assert(kHasItsLines<FlowTable> && kHasItsLines<FlowTableHeader> && kHasItsLines<FlowBucket>);
static_assert(sizeof(xdplb_slot) == 2 * kLineBytes, "the heartbeats of an array that begins with a page");
static_assert(kFlowAlignBytes % kLineBytes == 0, "flow tables lie one after the other in their file");

// What a worker writes behind pointers.
struct Written {
  WorkerCounters counters;
  FramePool pool{1000};  // numbers that fill no line
  FlowMemory flow_memory{kMinFlows};
  FlowTable table = *FlowTable::create(flow_memory.bytes(), kMinFlows, 1);

  template <typename Array>
  static void add(const Array& array, std::set<uintptr_t>& lines) {
    const auto begin = reinterpret_cast<uintptr_t>(array.data());
    const uintptr_t end = begin + array.size() * sizeof(array[0]);
    CHECK(begin % kLineBytes == 0);
    for (uintptr_t line = begin / kLineBytes; line * kLineBytes < end; ++line) lines.insert(line);
  }
  [[nodiscard]] std::set<uintptr_t> lines() const {
    std::set<uintptr_t> lines;
    add(counters.targets, lines);
    add(counters.services, lines);
    add(counters.service_drops, lines);
    add(flow_memory.bytes(), lines);
    return lines;
  }
};

TEST_CASE("two workers write no cache line in common", "[worker][lines]") {
  const auto first = std::make_unique<Written>(), second = std::make_unique<Written>();
  const std::set<uintptr_t> taken = first->lines();
  size_t shared = 0;
  for (const uintptr_t line : second->lines()) shared += taken.count(line);
  CHECK(shared == 0);
}

// The pool's stack, the ledger and the flow table's map of pages are of this type.
TEST_CASE("an array of its own lines ends with a line", "[lines]") {
  for (const size_t bytes : {1u, 63u, 64u, 65u, 1000u}) {
    LineVector<uint8_t> a(bytes), b(bytes);
    CHECK(reinterpret_cast<uintptr_t>(a.data()) % kLineBytes == 0);
    const auto line_of = [](const uint8_t& byte) { return reinterpret_cast<uintptr_t>(&byte) / kLineBytes; };
    CHECK((line_of(a.back()) < line_of(b.front()) || line_of(b.back()) < line_of(a.front())));
    CHECK(LineAllocator<uint8_t>::whole_lines(bytes) % kLineBytes == 0);
  }
}

}  // namespace
}  // namespace xdplb
