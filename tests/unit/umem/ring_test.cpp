#include "umem/ring.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <deque>
#include <random>
#include <thread>
#include <type_traits>
#include <vector>

#include "tests/support/death.h"

using namespace xdplb;
using xdplb::testing::dies;

namespace {

// A ring in plain memory, and the kernel's end of it in the simplest words.
template <typename Entry>
struct PlainRing {
  PlainRing(uint32_t ring_size, uint32_t start)
      : size(ring_size), producer(start), consumer(start), entries(ring_size) {}

  RingMemory memory() { return {&producer, &consumer, &flags, entries.data(), size}; }
  Entry& at(uint32_t index) { return entries[index % size]; }

  uint32_t size;
  uint32_t producer;
  uint32_t consumer;
  uint32_t flags = 0;
  std::vector<Entry> entries;
};

struct Dice {
  explicit Dice(uint32_t seed) : engine(seed) {}
  uint32_t operator()(uint32_t n) { return static_cast<uint32_t>(engine() % n); }
  std::mt19937 engine;
};

constexpr uint32_t kNearWrap = 0xffff'fff0;

template <typename R>
concept can_reserve = requires(R& r) {
  r.reserve(1);
};
template <typename R>
concept can_peek = requires(R& r) {
  r.peek(1);
};
template <typename R, typename V>
concept takes = requires(R& r, V v) {
  r.reserve(1).set(0, v);
};

}  // namespace

TEST_CASE("misuse of a ring does not compile") {
  STATIC_REQUIRE((can_peek<RxRing> && !can_reserve<RxRing>));
  STATIC_REQUIRE((can_peek<CompletionRing> && !can_reserve<CompletionRing>));
  STATIC_REQUIRE((can_reserve<TxRing> && !can_peek<TxRing>));
  STATIC_REQUIRE((can_reserve<FillRing> && !can_peek<FillRing>));
  STATIC_REQUIRE((takes<TxRing, FrameRef> && !takes<TxRing, FrameAddr>));
  STATIC_REQUIRE((takes<FillRing, FrameAddr> && !takes<FillRing, FrameRef>));
  STATIC_REQUIRE((!std::is_copy_constructible_v<TxRing> && !std::is_copy_assignable_v<RxRing>));
  STATIC_REQUIRE((!std::is_convertible_v<RxRing, CompletionRing> && !std::is_convertible_v<TxRing, FillRing>));
}

TEST_CASE("a descriptor carries address and length, and its options are zero") {
  PlainRing<xdp_desc> plain(4, 0);
  for (xdp_desc& desc : plain.entries) desc.options = 0xdead;
  TxRing ring(plain.memory());
  TxRing::Slots slots = ring.reserve(1);
  REQUIRE(slots.size() == 1);
  slots.set(0, {{0x12'3456'7100}, 1514});
  CHECK(plain.producer == 0);
  ring.submit(1);
  CHECK(plain.producer == 1);
  CHECK(plain.entries[0].addr == 0x12'3456'7100);
  CHECK(plain.entries[0].len == 1514);
  CHECK(plain.entries[0].options == 0);
}

TEST_CASE("reserved entries that are not submitted are given again") {
  PlainRing<__u64> plain(8, kNearWrap);
  FillRing ring(plain.memory());
  CHECK(ring.reserve(100).size() == 8);
  FillRing::Slots slots = ring.reserve(5);
  for (uint32_t i = 0; i < 5; ++i) slots.set(i, kLargeFrames.at(i));
  ring.submit(2);
  CHECK(plain.producer == kNearWrap + 2);
  CHECK(ring.queued() == 2);
  CHECK(ring.reserve(100).size() == 6);
  CHECK(plain.at(kNearWrap + 1) == kFrameBytes);
}

TEST_CASE("a peeked entry stays until it is released") {
  PlainRing<__u64> plain(4, 0xffff'ffff);
  CompletionRing ring(plain.memory());
  CHECK(ring.peek(10).empty());
  plain.at(0xffff'ffff) = 7;
  plain.at(0) = 8;
  plain.producer = 1;
  CHECK(ring.peek(1).size() == 1);
  const CompletionRing::View view = ring.peek(10);
  REQUIRE(view.size() == 2);
  std::vector<uint64_t> seen;
  for (const FrameAddr addr : view) seen.push_back(addr.offset);
  CHECK(seen == std::vector<uint64_t>{7, 8});
  ring.release(1);
  CHECK(plain.consumer == 0);
  CHECK(ring.peek(10)[0].offset == 8);
  ring.release(1);
  CHECK(ring.peek(10).empty());
}

TEST_CASE("the wake-up flag is read, and only that bit") {
  PlainRing<xdp_desc> plain(4, 0);
  TxRing ring(plain.memory());
  CHECK_FALSE(ring.need_wakeup());
  plain.flags = XDP_RING_NEED_WAKEUP;
  CHECK(ring.need_wakeup());
  plain.flags = ~uint32_t{XDP_RING_NEED_WAKEUP};
  CHECK_FALSE(ring.need_wakeup());
}

TEST_CASE("bugs of ours at a ring are caught where they happen") {
  PlainRing<__u64> plain(4, kNearWrap);
  FillRing fill(plain.memory());
  CHECK(dies([&] { fill.submit(5); }));
  CHECK(dies([&] { fill.reserve(2).set(2, {}); }));
  CompletionRing completion(plain.memory());
  CHECK(dies([&] { completion.release(1); }));
  CHECK(dies([&] { static_cast<void>(completion.peek(1)[0]); }));
  PlainRing<__u64> odd(6, 0);
  CHECK(dies([&] { FillRing ring(odd.memory()); }));
  // The kernel's index ran away: more entries than there are.
  plain.producer = kNearWrap + 5;
  CHECK(dies([&] { static_cast<void>(completion.peek(10)); }));
  plain.producer = kNearWrap + 4;
  CHECK_FALSE(dies([&] { static_cast<void>(completion.peek(10)); }));
}

TEST_CASE("a consumer ring agrees with a queue over a million random operations") {
  Dice below(1);
  PlainRing<xdp_desc> plain(64, kNearWrap);
  RxRing ring(plain.memory());
  std::deque<FrameRef> model;
  uint64_t next = 0;
  uint64_t wrong = 0;
  uint64_t released = 0;
  for (int op = 0; op < 1'000'000; ++op) {
    const uint32_t n = below(80);
    if (below(2) == 0) {
      for (uint32_t i = 0; i < n && plain.producer - plain.consumer < plain.size; ++i) {
        const FrameRef frame{{next * 4096 + 256}, static_cast<uint32_t>(next % 1515)};
        plain.at(plain.producer) = {frame.addr.offset, frame.len_bytes, 0};
        ++plain.producer;
        model.push_back(frame);
        ++next;
      }
    } else {
      const RxRing::View view = ring.peek(n);
      wrong += view.size() != std::min<size_t>(n, model.size());
      for (uint32_t i = 0; i < view.size(); ++i) wrong += view[i] != model[i];
      const uint32_t done = view.empty() ? 0 : below(view.size() + 1);
      ring.release(done);
      released += done;
      model.erase(model.begin(), model.begin() + done);
    }
    wrong += plain.producer - plain.consumer != model.size();
  }
  CHECK(wrong == 0);
  CHECK(released > 1'000'000);
}

TEST_CASE("a producer ring agrees with a queue over a million random operations") {
  Dice below(2);
  PlainRing<xdp_desc> plain(64, kNearWrap);
  TxRing ring(plain.memory());
  std::deque<FrameRef> model;
  uint64_t next = 0;
  uint64_t wrong = 0;
  uint64_t consumed = 0;
  for (int op = 0; op < 1'000'000; ++op) {
    const uint32_t n = below(80);
    if (below(2) == 0) {
      TxRing::Slots slots = ring.reserve(n);
      wrong += slots.size() != std::min<size_t>(n, plain.size - model.size());
      const uint32_t used = slots.empty() ? 0 : below(slots.size() + 1);
      for (uint32_t i = 0; i < slots.size(); ++i) {
        slots.set(i, {{(next + i) * 4096}, static_cast<uint32_t>((next + i) % 1515)});
        if (i < used) model.push_back({{(next + i) * 4096}, static_cast<uint32_t>((next + i) % 1515)});
      }
      ring.submit(used);
      next += used;
    } else {
      for (uint32_t i = 0; i < n && plain.producer != plain.consumer; ++i) {
        const xdp_desc& desc = plain.at(plain.consumer);
        wrong += FrameRef{{desc.addr}, desc.len} != model.front();
        ++plain.consumer;
        model.pop_front();
        ++consumed;
      }
    }
    wrong += ring.queued() != model.size();
  }
  CHECK(wrong == 0);
  CHECK(consumed > 1'000'000);
}

// One ring seen from both ends by two threads: everything arrives once, in order and whole. Under ThreadSanitizer
// this also proves that the memory orders suffice, since the entries themselves are plain memory.
TEST_CASE("entries cross between threads in order and whole") {
  constexpr uint64_t kEntries = 200'000;
  PlainRing<xdp_desc> plain(128, kNearWrap);
  std::thread producer([&] {
    TxRing ring(plain.memory());
    Dice below(3);
    for (uint64_t next = 0; next < kEntries;) {
      TxRing::Slots slots = ring.reserve(1 + below(40));
      uint32_t used = 0;
      for (; used < slots.size() && next < kEntries; ++used, ++next) {
        slots.set(used, {{next}, static_cast<uint32_t>(next * 7)});
      }
      ring.submit(used);
      if (used == 0) std::this_thread::yield();
    }
  });
  RxRing ring(plain.memory());
  uint64_t next = 0;
  uint64_t wrong = 0;
  while (next < kEntries) {
    const RxRing::View view = ring.peek(50);
    for (const FrameRef& frame : view) {
      wrong += frame != FrameRef{{next}, static_cast<uint32_t>(next * 7)};
      ++next;
    }
    ring.release(view.size());
    if (view.empty()) std::this_thread::yield();
  }
  producer.join();
  CHECK(wrong == 0);
  CHECK(ring.peek(1).empty());
}
