// FrameLedger: who has each frame of one worker. One byte a frame, written on every change of hands.
//
// Each frame is in exactly one of: the pool, the receive side of a port (fill ring, driver, RX ring), the worker's
// batch, held (a fragment that waits), the transmit side of a port (TX ring, kernel, completion ring). A byte store
// into an array of some kilobytes is kept in release builds too, because only it can say which frames a closed
// socket still had: the kernel never gives those back.
//
// With XDPLB_CHECKS a change of hands also checks from whom the frame comes. That catches a double free, an
// address twice in the fill ring (which the kernel does not detect and which corrupts packets), a completion of
// what was never sent and an address outside the area, where they happen.
//
// Owned by the FramePool; the worker's thread only.
#pragma once

#include <cstdint>
#include <vector>

#include "umem/frame.h"
#include "user/base/check.h"
#include "user/base/lines.h"

namespace xdplb {

// A number that a worker gives to each of its ports, from 0.
struct PortId {
  uint8_t value = 0;
  friend bool operator==(PortId, PortId) = default;
};
inline constexpr uint32_t kMaxPortsPerWorker = 120;  // what a FrameOwner's byte has room for

class FrameOwner {
 public:
  [[nodiscard]] static constexpr FrameOwner pool() { return FrameOwner(0); }
  [[nodiscard]] static constexpr FrameOwner batch() { return FrameOwner(1); }
  [[nodiscard]] static constexpr FrameOwner held() { return FrameOwner(2); }
  [[nodiscard]] static constexpr FrameOwner rx(PortId port) { return FrameOwner(uint32_t{3} + 2u * port.value); }
  [[nodiscard]] static constexpr FrameOwner tx(PortId port) { return FrameOwner(uint32_t{4} + 2u * port.value); }

  [[nodiscard]] constexpr bool is_rx() const { return value_ >= 3 && value_ % 2 == 1; }
  [[nodiscard]] constexpr bool is_tx() const { return value_ >= 3 && value_ % 2 == 0; }
  friend bool operator==(FrameOwner, FrameOwner) = default;

 private:
  explicit constexpr FrameOwner(uint32_t value) : value_(static_cast<uint8_t>(value)) {}

  uint8_t value_;
};
static_assert(sizeof(FrameOwner) == 1);
static_assert(FrameOwner::tx(PortId{kMaxPortsPerWorker - 1}).is_tx(), "the last port's owner fits the byte");

// How many frames each has. Their sum is the number of frames.
struct FrameCounts {
  uint32_t pool = 0;
  uint32_t rx = 0;  // all ports
  uint32_t batch = 0;
  uint32_t held = 0;
  uint32_t tx = 0;  // all ports

  [[nodiscard]] uint32_t sum() const { return pool + rx + batch + held + tx; }
  friend bool operator==(const FrameCounts&, const FrameCounts&) = default;
};

class FrameLedger {
 public:
  FrameLedger(uint32_t frames, FrameSize frame_size) : owners_(frames, FrameOwner::pool()), frame_size_(frame_size) {}

  [[nodiscard]] uint32_t frames() const { return static_cast<uint32_t>(owners_.size()); }
  [[nodiscard]] FrameSize frame_size() const { return frame_size_; }

  void move(FrameAddr frame, FrameOwner from, FrameOwner to) {
    const uint32_t index = frame_size_.index(frame);
    XDPLB_DCHECK(index < frames());
    XDPLB_DCHECK(owners_[index] == from);
    static_cast<void>(from);
    owners_[index] = to;
  }

  [[nodiscard]] FrameOwner owner(FrameAddr frame) const {
    XDPLB_DCHECK(frame_size_.index(frame) < frames());
    return owners_[frame_size_.index(frame)];
  }

  // The index of the first frame of `owner` that is not below `from`. There must be one.
  [[nodiscard]] uint32_t find(FrameOwner owner, uint32_t from) const {
    XDPLB_DCHECK(from < frames());
    return owners_[from] == owner ? from : find_behind(owner, from);
  }

  // Both walk over all frames: for start, stop, a port's reset and tests.
  [[nodiscard]] FrameCounts count() const;
  [[nodiscard]] uint32_t count(FrameOwner owner) const;

 private:
  [[nodiscard]] uint32_t find_behind(FrameOwner owner, uint32_t from) const;

  LineVector<FrameOwner> owners_;  // by frame index
  FrameSize frame_size_;
};

}  // namespace xdplb
