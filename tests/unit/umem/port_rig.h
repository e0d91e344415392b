// One worker's memory, pool and port, with a fake kernel at the other end: the set-up of the port's tests.
#pragma once

#include <vector>

#include "tests/support/fake_port.h"
#include "umem/port.h"

namespace xdplb::testing {

struct Rig {
  static constexpr uint32_t kFrames = 512;

  explicit Rig(const FakePortOptions& options = {})
      : fake(area, options), port(PortId{0}, area, fake.rings(), fake, pool) {}

  std::vector<std::byte> packet(size_t len, uint8_t fill) { return std::vector<std::byte>(len, std::byte{fill}); }

  std::vector<FrameRef> receive(uint32_t max = 64) {
    std::vector<FrameRef> packets(max);
    packets.resize(port.receive(packets));
    return packets;
  }

  // `n` packets of the worker's batch.
  std::vector<FrameRef> batch(uint32_t n, uint32_t len = 60) {
    std::vector<FrameRef> packets;
    for (uint32_t i = 0; i < n; ++i) packets.push_back({pool.take(FrameOwner::batch()) + 256, len});
    return packets;
  }

  bool all_accounted() { return pool.consistent() && port.conserved() && pool.ledger().count().sum() == kFrames; }

  std::vector<std::byte> memory = std::vector<std::byte>(kFrames * kFrameBytes);
  FrameArea area{memory};
  FramePool pool{kFrames};
  FakePort fake;
  Port port;
};

}  // namespace xdplb::testing
