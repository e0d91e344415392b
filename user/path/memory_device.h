// MemoryDevice: plays the device and the kernel for a Port, over plain memory: what is delivered is received, what is
// sent is handed to whoever asked for it, at once. It never fails and never waits.
//
// For `xdplb replay`, where no device is: the worker sees a Port as always. (The tests have their own,
// tests/support/fake_port.h, whose business is to fail in every way that a kernel can.) Single thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "umem/port.h"

namespace xdplb {

class MemoryDevice : public PortKernel {
 public:
  // `sink` gets each frame that is sent, during kick_tx(). Rings have `ring_size` entries, a power of two.
  MemoryDevice(FrameArea area, uint32_t ring_size, std::function<void(const FrameRef&)> sink);

  [[nodiscard]] PortRings rings();

  // The longest packet that a frame has room for, as on a device: behind 256 bytes of headroom.
  static constexpr uint32_t kHeadroomBytes = 256;
  static constexpr uint32_t kPacketBytesMax = kFrameBytes - kHeadroomBytes;

  // A packet arrives; returns the frame that it lies in. There must be an empty one: refill() on each turn sees to
  // it.
  FrameAddr deliver(std::span<const uint8_t> packet);

  Kick kick_tx() override;
  Kick kick_rx() override { return Kick::done; }

 private:
  template <typename Entry>
  struct Ring {
    explicit Ring(uint32_t size) : entries(size) {}
    uint32_t producer = 0;
    uint32_t consumer = 0;
    uint32_t flags = 0;
    std::vector<Entry> entries;

    [[nodiscard]] bool empty() const { return producer == consumer; }
    Entry& take() { return entries[consumer++ % entries.size()]; }
    void put(const Entry& entry) { entries[producer++ % entries.size()] = entry; }
    RingMemory memory() {
      return {&producer, &consumer, &flags, entries.data(), static_cast<uint32_t>(entries.size())};
    }
  };

  FrameArea area_;
  std::function<void(const FrameRef&)> sink_;
  Ring<xdp_desc> rx_, tx_;
  Ring<__u64> fill_, completion_;
};

}  // namespace xdplb
