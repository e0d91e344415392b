#include "user/path/memory_device.h"

#include <catch2/catch.hpp>
#include <numeric>

#include "tests/support/death.h"

namespace xdplb {
namespace {

constexpr uint32_t kFrames = 64;
constexpr uint32_t kRing = 16;

class Rig {
 public:
  Rig()
      : area_(memory_),
        pool_(kFrames),
        device_(area_, kRing,
                [this](const FrameRef& frame) {
                  const auto bytes = area_.bytes(frame);
                  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
                  sent.emplace_back(data, data + bytes.size());
                }),
        port_(PortId{0}, area_, device_.rings(), device_, pool_) {
    port_.refill();
  }

  // One packet in and out again, as a worker does it.
  void forward(const std::vector<uint8_t>& packet) {
    port_.reap();
    port_.refill();
    const FrameAddr at = device_.deliver(packet);
    FrameRef received[1];
    REQUIRE(port_.receive(received) == 1);
    REQUIRE(received[0].addr.offset == at.offset);
    REQUIRE(received[0].len_bytes == packet.size());
    REQUIRE(port_.transmit(received) == 1);
    port_.kick(0);
    REQUIRE(port_.tx_queued() == 0);
  }

  std::vector<std::vector<uint8_t>> sent;
  FramePool& pool() { return pool_; }
  Port& port() { return port_; }
  MemoryDevice& device() { return device_; }

 private:
  std::vector<std::byte> memory_ = std::vector<std::byte>(kFrames * kFrameBytes);
  FrameArea area_;
  FramePool pool_;
  MemoryDevice device_;
  Port port_;
};

std::vector<uint8_t> packet_of(size_t len_bytes, uint8_t seed) {
  std::vector<uint8_t> packet(len_bytes);
  std::iota(packet.begin(), packet.end(), seed);
  return packet;
}

}  // namespace

TEST_CASE("memory device: what is delivered comes out as it went in, however often the rings go round") {
  Rig rig;
  std::vector<std::vector<uint8_t>> expected;
  for (size_t i = 0; i < 10 * kRing + 3; ++i) {
    expected.push_back(packet_of(1 + i * 37 % MemoryDevice::kPacketBytesMax, static_cast<uint8_t>(i)));
    rig.forward(expected.back());
  }
  CHECK(rig.sent == expected);
  rig.port().reap();
  CHECK(rig.port().conserved());
  CHECK(rig.pool().ledger().count().sum() == kFrames);
}

TEST_CASE("memory device: the longest packet has room, and headroom before it") {
  Rig rig;
  const auto packet = packet_of(MemoryDevice::kPacketBytesMax, 3);
  const FrameAddr at = rig.device().deliver(packet);
  CHECK(at.offset % kFrameBytes == MemoryDevice::kHeadroomBytes);
}

TEST_CASE("memory device: a packet that has no room, or no empty frame, is a fault of the caller") {
  Rig rig;
  CHECK(testing::dies([&] { rig.device().deliver(packet_of(MemoryDevice::kPacketBytesMax + 1, 0)); }));
  CHECK(testing::dies([&] { rig.device().deliver({}); }));
  CHECK(testing::dies([&] {
    for (uint32_t i = 0; i <= kRing; ++i) rig.device().deliver(packet_of(60, 0));
  }));
}

}  // namespace xdplb
