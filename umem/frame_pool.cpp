#include "umem/frame_pool.h"

#include <algorithm>

namespace xdplb {

// The lowest addresses lie on top, so that a worker at low load stays in few pages.
FramePool::FramePool(uint32_t frames, FrameSize frame_size)
    : ledger_(frames, frame_size), free_(frames), free_count_(frames) {
  for (uint32_t i = 0; i < frames; ++i) free_[i] = frames - 1 - i;
}

std::vector<FrameAddr> FramePool::take_for_fill(PortId port, uint32_t max) {
  std::vector<FrameAddr> frames(std::min(max, size()));
  for (FrameAddr& frame : frames) frame = take(FrameOwner::rx(port));
  return frames;
}

FramePool::Reclaimed FramePool::reclaim(PortId port) {
  Reclaimed reclaimed;
  for (uint32_t i = 0; i < capacity(); ++i) {
    const FrameAddr frame = ledger_.frame_size().at(i);
    const FrameOwner owner = ledger_.owner(frame);
    if (owner == FrameOwner::rx(port)) {
      ++reclaimed.rx;
    } else if (owner == FrameOwner::tx(port)) {
      ++reclaimed.tx;
    } else {
      continue;
    }
    put(frame, owner);
  }
  return reclaimed;
}

bool FramePool::consistent() const {
  std::vector<bool> seen(capacity(), false);
  for (uint32_t i = 0; i < free_count_; ++i) {
    const uint32_t index = free_[i];
    if (index >= capacity() || seen[index]) return false;
    if (ledger_.owner(ledger_.frame_size().at(index)) != FrameOwner::pool()) return false;
    seen[index] = true;
  }
  return free_count_ == ledger_.count(FrameOwner::pool());
}

}  // namespace xdplb
