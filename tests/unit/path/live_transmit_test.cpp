#include "user/path/live_transmit.h"

#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>
#include <random>

#include "tests/support/fake_live.h"

namespace xdplb {
namespace {

using testing::FakeLive;

constexpr uint32_t kFrameMax = 1518;

// Packets in frames of their own, no two alike.
struct Packets {
  explicit Packets(uint32_t count, uint32_t len_bytes = 60) {
    for (uint32_t i = 0; i < count; ++i) {
      refs.push_back({kLargeFrames.at(i) + 256, len_bytes});
      std::memset(area.at(refs.back().addr), static_cast<int>(i + 1), len_bytes);
    }
  }
  [[nodiscard]] std::vector<std::vector<std::byte>> bytes() const {
    std::vector<std::vector<std::byte>> all;
    for (const FrameRef& ref : refs) all.emplace_back(area.at(ref.addr), area.at(ref.addr) + ref.len_bytes);
    return all;
  }
  std::vector<std::byte> memory = std::vector<std::byte>(kMaxBatch * kFrameBytes);
  FrameArea area{memory};
  std::vector<FrameRef> refs;
};

struct Rig {
  explicit Rig(TxChoice choice) : live(fake.run_word(), fake.stage(), 7, kFrameMax, choice, fake) {}
  uint32_t send(const Packets& packets) {
    live.stage(packets.area, packets.refs);
    return live.send_staged();
  }
  FakeLive fake;
  LiveTransmit live;
};

TEST_CASE("live transmit: a full batch leaves in one call, whole and in order") {
  Rig rig(TxChoice::live);
  const Packets packets(kMaxBatch, 1518);
  CHECK(rig.send(packets) == kMaxBatch);
  CHECK(rig.fake.take_sent() == packets.bytes());
  CHECK(rig.fake.calls() == 1);
  CHECK(rig.fake.run_word().armed == 0);
}

TEST_CASE("live transmit: every length leaves byte for byte") {
  Rig rig(TxChoice::live);
  Packets packets(kMaxBatch, kLiveFrameMin);
  std::mt19937 random{7};
  for (std::byte& byte : packets.memory) byte = static_cast<std::byte>(random());
  for (uint32_t i = 0; i < kMaxBatch; ++i) packets.refs[i].len_bytes = kLiveFrameMin + i;
  CHECK(rig.send(packets) == kMaxBatch);
  CHECK(rig.fake.take_sent() == packets.bytes());
}

TEST_CASE("live transmit: batches that wait for one another leave in one call, in order, as long as there is room") {
  Rig rig(TxChoice::live);
  const uint32_t len_bytes = GENERATE(60u, 1514u, kLiveFrameMax);
  uint32_t batches = 0;
  std::vector<std::vector<std::byte>> all;
  for (; rig.live.has_room() && batches < 5; ++batches) {
    const Packets packets(kMaxBatch - batches, len_bytes);
    rig.live.stage(packets.area, packets.refs);
    for (auto& bytes : packets.bytes()) all.push_back(bytes);
  }
  CHECK(batches >= 2);
  CHECK(rig.live.staged() == all.size());
  CHECK(rig.fake.calls() == 0);
  CHECK(rig.live.send_staged() == all.size());
  CHECK(rig.fake.take_sent() == all);
  CHECK(rig.fake.calls() == 1);
  CHECK(rig.live.staged() == 0);
  CHECK(rig.live.has_room());
}

TEST_CASE("live transmit: auto takes large batches, live all") {
  const Rig automatic(TxChoice::automatic);
  const Rig always(TxChoice::live);
  CHECK_FALSE(automatic.live.takes(Packets(kLiveFromPackets - 1).refs));
  CHECK(automatic.live.takes(Packets(kLiveFromPackets).refs));
  CHECK(always.live.takes(Packets(1).refs));
  CHECK_FALSE(always.live.takes({}));
}

TEST_CASE("live transmit: a batch with a frame that the kernel would lose goes the other way as a whole") {
  Rig rig(TxChoice::live);
  Packets packets(30);
  CHECK(rig.live.takes(packets.refs));
  packets.refs[7].len_bytes = kFrameMax;
  CHECK(rig.live.takes(packets.refs));
  packets.refs[7].len_bytes = kFrameMax + 1;
  CHECK_FALSE(rig.live.takes(packets.refs));
  packets.refs[7].len_bytes = kLiveFrameMin - 1;
  CHECK_FALSE(rig.live.takes(packets.refs));
  packets.refs[7].len_bytes = 60;
  rig.live.set_usable(false);
  CHECK_FALSE(rig.live.takes(packets.refs));
}

TEST_CASE("live transmit: frames longer than a stage's place never go live, whatever the MTU") {
  FakeLive fake;
  const LiveTransmit live(fake.run_word(), fake.stage(), 7, 9000, TxChoice::live, fake);
  CHECK(live.takes(Packets(1, kLiveFrameMax).refs));
  CHECK_FALSE(live.takes(Packets(1, kLiveFrameMax + 1).refs));
}

TEST_CASE("live transmit: an interrupted call goes on where it stopped") {
  Rig rig(TxChoice::live);
  const Packets packets(100);
  for (const uint32_t after : {0u, 1u, 50u, 0u, 3u}) rig.fake.end_early(after, EINTR);
  rig.fake.end_early(10, ENOMEM);
  CHECK(rig.send(packets) == 100);
  CHECK(rig.fake.take_sent() == packets.bytes());
  CHECK(rig.fake.calls() == 7);
}

TEST_CASE("live transmit: calls that achieve nothing end, and only what left is counted") {
  Rig rig(TxChoice::live);
  const Packets packets(100);
  rig.fake.end_early(40, EINTR);
  for (uint32_t i = 0; i < LiveTransmit::kIdleCallsMax; ++i) rig.fake.end_early(0, ENOMEM);
  CHECK(rig.send(packets) == 40);
  CHECK(rig.fake.take_sent().size() == 40);
  CHECK(rig.fake.run_word().armed == 0);
  // And the next batch is a new one.
  CHECK(rig.send(packets) == 100);
  CHECK(rig.fake.take_sent() == packets.bytes());
}

TEST_CASE("live transmit: an error that will not pass is not tried again") {
  Rig rig(TxChoice::live);
  const Packets packets(100);
  rig.fake.end_early(30, ENODEV);
  CHECK(rig.send(packets) == 30);
  CHECK(rig.fake.calls() == 1);
}

TEST_CASE("live transmit: what the program refuses has not left") {
  Rig rig(TxChoice::live);
  const Packets packets(100);
  rig.fake.refuse_one();
  rig.fake.refuse_one();
  CHECK(rig.send(packets) == 98);
  CHECK(rig.fake.take_sent().size() == 98);
  CHECK(rig.send(packets) == 100);
}

}  // namespace
}  // namespace xdplb
