// FramePool: the free frames of one worker, and the ledger of the others. That worker's thread only.
//
// The lowest free frame is used first. So the frames that take turns are few, and those of a batch, in whichever
// order they came back, go out in ascending order; over time that order decides about an eighth of the rate in copy
// mode (umem/README.md). Made full, with every frame of the worker's area; its capacity is that number (umem/sizing.h
// says how large).
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "umem/frame.h"
#include "umem/frame_ledger.h"
#include "user/base/check.h"
#include "user/base/lines.h"

namespace xdplb {

class alignas(kLineBytes) FramePool {
 public:
  explicit FramePool(uint32_t frames, FrameSize frame_size = kLargeFrames);
  // Ports keep a reference to it.
  FramePool(const FramePool&) = delete;
  FramePool& operator=(const FramePool&) = delete;

  [[nodiscard]] uint32_t size() const { return free_; }
  [[nodiscard]] uint32_t capacity() const { return ledger_.frames(); }
  [[nodiscard]] bool empty() const { return free_ == 0; }

  // A free frame for `to`. The pool must not be empty.
  [[nodiscard]] FrameAddr take(FrameOwner to) {
    XDPLB_DCHECK(!empty());
    const uint32_t index = ledger_.find(FrameOwner::pool(), lowest_free_);
    const FrameAddr frame = ledger_.frame_size().at(index);
    ledger_.move(frame, FrameOwner::pool(), to);
    lowest_free_ = index + 1;
    --free_;
    return frame;
  }

  // Takes back a frame from `from`. Any address inside the frame will do.
  void put(FrameAddr frame, FrameOwner from) {
    ledger_.move(frame, from, FrameOwner::pool());
    lowest_free_ = std::min(lowest_free_, ledger_.frame_size().index(frame));
    ++free_;
  }

  // The words of a worker, for a packet that it has received: dropped or copied out; held back; taken up again.
  void recycle(FrameAddr frame) { put(frame, FrameOwner::batch()); }
  void hold(FrameAddr frame) { ledger_.move(frame, FrameOwner::batch(), FrameOwner::held()); }
  void unhold(FrameAddr frame) { ledger_.move(frame, FrameOwner::held(), FrameOwner::batch()); }

  // Frames for a fill ring that is filled before there is a Port (XskSocket::open): at most `max`.
  [[nodiscard]] std::vector<FrameAddr> take_for_fill(PortId port, uint32_t max);

  [[nodiscard]] FrameLedger& ledger() { return ledger_; }
  [[nodiscard]] const FrameLedger& ledger() const { return ledger_; }

  // Takes back what `port` still has. Only after its socket is closed: until then the kernel may write to them.
  struct Reclaimed {
    uint32_t rx = 0;
    uint32_t tx = 0;  // submitted, never completed: skipped as invalid, or still in the stack when it closed
  };
  Reclaimed reclaim(PortId port);

  // True if the free frames are as many as the ledger has, and none lies below the lowest. Walks over all frames.
  [[nodiscard]] bool consistent() const;

 private:
  FrameLedger ledger_;
  uint32_t free_;             // how many
  uint32_t lowest_free_ = 0;  // an index; the frames below are not free
};

}  // namespace xdplb
