#include "umem/frame_pool.h"

#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>
#include <deque>
#include <random>
#include <set>

#include "tests/support/death.h"

using namespace xdplb;
using xdplb::testing::dies;

namespace {

FrameAddr base(FrameSize size, FrameAddr addr) {
  return size.at(size.index(addr));
}

}  // namespace

TEST_CASE("a frame's address tells its chunk and the place in it") {
  const FrameAddr data = kLargeFrames.at(3) + 256;
  CHECK(data.offset == 3 * 4096 + 256);
  CHECK(base(kLargeFrames, data).offset == 3 * 4096);
  CHECK(kLargeFrames.index(data) == 3);
  CHECK(kLargeFrames.offset_in(data) == 256);
  CHECK(base(kLargeFrames, FrameAddr{4095}).offset == 0);
  CHECK(base(kLargeFrames, FrameAddr{4096}).offset == 4096);
  // Beyond 4 GiB.
  CHECK(base(kLargeFrames, kLargeFrames.at(2'000'000)).offset == 2'000'000ull * 4096);
}

TEST_CASE("small frames are found as large ones are") {
  std::vector<std::byte> memory(8 * kSmallFrameBytes);
  const FrameArea area(memory, kSmallFrames);
  CHECK(area.frames() == 8);
  CHECK(area.len_bytes() == 8 * 2048);
  const FrameAddr data = kSmallFrames.at(3) + 256;
  CHECK(data.offset == 3 * 2048 + 256);
  CHECK(base(kSmallFrames, data) == FrameAddr{3 * 2048});
  CHECK(kSmallFrames.index(data) == 3);
  CHECK(kSmallFrames.offset_in(data) == 256);
  CHECK(area.contains({data, 1792}));
  CHECK_FALSE(area.contains({data, 1793}));
  CHECK_FALSE(area.contains({{8 * 2048}, 60}));

  FramePool pool(8, kSmallFrames);
  std::set<uint64_t> seen;
  for (int i = 0; i < 8; ++i) seen.insert(pool.take(FrameOwner::batch()).offset);
  CHECK(seen == std::set<uint64_t>{0, 2048, 4096, 6144, 8192, 10240, 12288, 14336});
  pool.recycle(data);
  CHECK(pool.take(FrameOwner::batch()) == base(kSmallFrames, data));
}

TEST_CASE("an area takes the descriptors that the kernel takes") {
  std::vector<std::byte> memory(4 * kFrameBytes + 100);  // the rest is no frame
  const FrameArea area(memory);
  CHECK(area.frames() == 4);
  struct Row {
    const char* what;
    uint64_t offset;
    uint32_t len;
    bool valid;
  };
  const Row rows[] = {
      {"first byte", 0, 1, true},
      {"a whole chunk", 4096, 4096, true},
      {"to the end of the last chunk", 4 * 4096 - 60, 60, true},
      {"empty", 256, 0, false},
      {"over the end of its chunk", 4096 + 256, 3841, false},
      {"longer than a chunk", 0, 4097, false},
      {"behind the last chunk", 4 * 4096, 60, false},
      {"far behind", uint64_t{1} << 63, 60, false},
      {"length that wraps", 4095, 0xffff'ffff, false},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    CHECK(area.contains({{row.offset}, row.len}) == row.valid);
  }
  CHECK(area.bytes({{4096 + 256}, 60}).data() == memory.data() + 4096 + 256);
  CHECK(area.bytes({{4096 + 256}, 60}).size() == 60);
}

TEST_CASE("a pool gives each frame once, and the lowest first") {
  FramePool pool(100);
  CHECK(pool.size() == 100);
  std::set<uint64_t> seen;
  for (int i = 0; i < 100; ++i) {
    const FrameAddr frame = pool.take(FrameOwner::batch());
    CHECK(frame == base(kLargeFrames, frame));
    CHECK(kLargeFrames.index(frame) < 100);
    seen.insert(frame.offset);
  }
  CHECK(seen.size() == 100);
  CHECK(pool.empty());
  pool.recycle(kLargeFrames.at(42) + 300);
  pool.recycle(kLargeFrames.at(7));
  CHECK(kLargeFrames.index(pool.take(FrameOwner::batch())) == 7);
  pool.recycle(kLargeFrames.at(3));
  CHECK(kLargeFrames.index(pool.take(FrameOwner::batch())) == 3);
  CHECK(kLargeFrames.index(pool.take(FrameOwner::batch())) == 42);
  CHECK(pool.empty());
  CHECK(pool.consistent());
}

TEST_CASE("frames that come back in any order go out in ascending order, and no others join them") {
  constexpr uint32_t kTurning = 64;  // of 100
  FramePool pool(100);
  std::deque<FrameAddr> ring;
  for (uint32_t i = 0; i < kTurning; ++i) ring.push_back(pool.take(FrameOwner::rx(PortId{0})));
  std::shuffle(ring.begin(), ring.end(), std::mt19937(1));  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same each time
  for (uint32_t turn = 0; turn < 400; ++turn) {
    const uint32_t batch = 1 + turn % 19;
    for (uint32_t i = 0; i < batch; ++i) {
      pool.put(ring.front(), FrameOwner::rx(PortId{0}));
      ring.pop_front();
    }
    for (uint32_t i = 0; i < batch; ++i) ring.push_back(pool.take(FrameOwner::rx(PortId{0})));
    CHECK(
        std::is_sorted(ring.end() - batch, ring.end(), [](FrameAddr a, FrameAddr b) { return a.offset < b.offset; }));
  }
  for (const FrameAddr frame : ring) CHECK(kLargeFrames.index(frame) < kTurning);
  CHECK(pool.consistent());
}

TEST_CASE("the ledger counts who has what") {
  FramePool pool(32);
  const FrameAddr a = pool.take(FrameOwner::batch());
  const FrameAddr b = pool.take(FrameOwner::batch());
  for (int i = 0; i < 4; ++i) static_cast<void>(pool.take(FrameOwner::rx(PortId{0})));
  for (int i = 0; i < 5; ++i) static_cast<void>(pool.take(FrameOwner::tx(PortId{kMaxPortsPerWorker - 1})));
  pool.hold(a);
  CHECK(pool.ledger().count() == FrameCounts{.pool = 21, .rx = 4, .batch = 1, .held = 1, .tx = 5});
  CHECK(pool.ledger().count(FrameOwner::rx(PortId{0})) == 4);
  CHECK(pool.ledger().count(FrameOwner::tx(PortId{0})) == 0);
  pool.unhold(a);
  pool.recycle(a);
  pool.recycle(b);
  CHECK(pool.ledger().count().pool == 23);
  CHECK(pool.ledger().count().sum() == 32);
}

TEST_CASE("owners of different ports and directions are different") {
  std::set<int> seen;
  const auto byte = [](FrameOwner owner) { return int{std::bit_cast<uint8_t>(owner)}; };
  for (const FrameOwner owner : {FrameOwner::pool(), FrameOwner::batch(), FrameOwner::held()}) {
    CHECK_FALSE((owner.is_rx() || owner.is_tx()));
    seen.insert(byte(owner));
  }
  for (uint32_t i = 0; i < kMaxPortsPerWorker; ++i) {
    const PortId port{static_cast<uint8_t>(i)};
    CHECK((FrameOwner::rx(port).is_rx() && !FrameOwner::rx(port).is_tx()));
    CHECK((FrameOwner::tx(port).is_tx() && !FrameOwner::tx(port).is_rx()));
    seen.insert(byte(FrameOwner::rx(port)));
    seen.insert(byte(FrameOwner::tx(port)));
  }
  CHECK(seen.size() == 3 + 2 * kMaxPortsPerWorker);
}

TEST_CASE("frames for a fill ring are taken under the port's name, as many as there are") {
  FramePool pool(10);
  const auto frames = pool.take_for_fill(PortId{2}, 4);
  CHECK(frames.size() == 4);
  CHECK(pool.ledger().count(FrameOwner::rx(PortId{2})) == 4);
  CHECK(pool.take_for_fill(PortId{2}, 100).size() == 6);
  CHECK(pool.take_for_fill(PortId{2}, 1).empty());
  CHECK(pool.reclaim(PortId{2}).rx == 10);
  CHECK(pool.consistent());
}

TEST_CASE("the mistakes that corrupt packets are caught where they happen") {
  FramePool pool(8);
  const FrameAddr frame = pool.take(FrameOwner::batch());
  CHECK_FALSE(dies([&] { pool.recycle(frame); }));
  CHECK(dies([&] {
    pool.recycle(frame);
    pool.recycle(frame);  // a double free
  }));
  CHECK(dies([&] { pool.put(frame, FrameOwner::tx(PortId{0})); }));  // a completion of what was not sent
  CHECK(dies([&] { pool.recycle(kLargeFrames.at(8)); }));            // not ours
  CHECK(dies([&] { pool.hold(kLargeFrames.at(5)); }));               // a free one
  CHECK(dies([&] { pool.unhold(frame); }));                          // not held
  CHECK(dies([&] {
    for (int i = 0; i < 8; ++i) static_cast<void>(pool.take(FrameOwner::batch()));  // one too many
  }));
  CHECK(dies([&] {
    pool.ledger().move(frame, FrameOwner::batch(), FrameOwner::rx(PortId{0}));
    pool.ledger().move(frame, FrameOwner::batch(), FrameOwner::rx(PortId{0}));  // twice in the fill ring
  }));
}

TEST_CASE("a pool agrees with a set over a million random operations") {
  std::mt19937 random(4);
  FramePool pool(257);
  std::vector<FrameAddr> taken;
  uint64_t wrong = 0;
  for (int op = 0; op < 1'000'000; ++op) {
    if (!pool.empty() && (taken.empty() || random() % 2 == 0)) {
      taken.push_back(pool.take(FrameOwner::batch()));
    } else {
      std::swap(taken[random() % taken.size()], taken.back());
      pool.recycle(taken.back() + random() % kFrameBytes);
      taken.pop_back();
    }
    wrong += pool.size() + taken.size() != 257;
  }
  CHECK(wrong == 0);
  CHECK(pool.consistent());
  CHECK(pool.ledger().count().batch == taken.size());
}
