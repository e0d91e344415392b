#include "umem/frame_ledger.h"

#include <algorithm>

namespace xdplb {

FrameCounts FrameLedger::count() const {
  FrameCounts counts;
  for (const FrameOwner owner : owners_) {
    if (owner == FrameOwner::pool()) {
      ++counts.pool;
    } else if (owner == FrameOwner::batch()) {
      ++counts.batch;
    } else if (owner == FrameOwner::held()) {
      ++counts.held;
    } else if (owner.is_rx()) {
      ++counts.rx;
    } else {
      ++counts.tx;
    }
  }
  return counts;
}

uint32_t FrameLedger::count(FrameOwner owner) const {
  return static_cast<uint32_t>(std::count(owners_.begin(), owners_.end(), owner));
}

}  // namespace xdplb
