#include "umem/frame_ledger.h"

#include <algorithm>
#include <bit>
#include <cstring>

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

uint32_t FrameLedger::find_behind(FrameOwner owner, uint32_t from) const {
  const void* const found = std::memchr(&owners_[from], std::bit_cast<uint8_t>(owner), frames() - from);
  XDPLB_CHECK(found != nullptr);
  return static_cast<uint32_t>(static_cast<const FrameOwner*>(found) - owners_.data());
}

}  // namespace xdplb
