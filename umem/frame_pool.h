// FramePool: the free frames of one worker, and the ledger of the others. That worker's thread only.
//
// A stack: the frame freed last is used first, while its lines are still in the cache. Made full, with every frame
// of the worker's area; its capacity is that number (umem/sizing.h says how large), so it can never overflow.
#pragma once

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

  [[nodiscard]] uint32_t size() const { return free_count_; }
  [[nodiscard]] uint32_t capacity() const { return ledger_.frames(); }
  [[nodiscard]] bool empty() const { return free_count_ == 0; }

  // A free frame for `to`. The pool must not be empty.
  [[nodiscard]] FrameAddr take(FrameOwner to) {
    XDPLB_DCHECK(!empty());
    const FrameAddr frame = ledger_.frame_size().at(free_[--free_count_]);
    ledger_.move(frame, FrameOwner::pool(), to);
    return frame;
  }

  // Takes back a frame from `from`. Any address inside the frame will do.
  void put(FrameAddr frame, FrameOwner from) {
    ledger_.move(frame, from, FrameOwner::pool());
    XDPLB_DCHECK(free_count_ < capacity());
    free_[free_count_++] = ledger_.frame_size().index(frame);
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

  // True if the free frames are distinct and are those that the ledger calls free. Walks over all of them.
  [[nodiscard]] bool consistent() const;

 private:
  FrameLedger ledger_;
  LineVector<uint32_t> free_;  // frame indices; the first free_count_ are valid
  uint32_t free_count_;
};

}  // namespace xdplb
