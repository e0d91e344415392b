#include "umem/frame_pool.h"

#include <algorithm>

namespace xdplb {

FramePool::FramePool(uint32_t frames, FrameSize frame_size) : ledger_(frames, frame_size), free_(frames) {}

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
  if (free_ != ledger_.count(FrameOwner::pool())) return false;
  return free_ == 0 || ledger_.find(FrameOwner::pool(), 0) >= lowest_free_;
}

}  // namespace xdplb
