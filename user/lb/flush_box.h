// FlushBox: flows that the control thread wants forgotten, handed to the worker that owns their table.
//
// A table is written by its worker alone. So the control thread puts a list into the worker's box, and the worker
// takes a few from it between two turns, at its own pace: no lock, and while the box is empty one load. One list at a
// time; the next one when is_idle(). A worker that sleeps looks at least every 100 ms; while a flush is under way
// (expect_more) it wakes often enough to be asked again and again.
//
// Two sides, a thread each: control and owner. Where the table has no worker, the control thread is both.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "user/lb/flow_table.h"

namespace xdplb {

class alignas(64) FlushBox {
 public:
  // --- control ---

  // Only while is_idle().
  void post(std::vector<FlowHandle> flows) {
    flows_ = std::move(flows);
    // release: partner is the acquire in serve(); the list is the owner's from here on.
    posted_.store(posted_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }
  [[nodiscard]] bool is_idle() const {
    // acquire: partner is the release in serve(); the list and the count are ours again.
    return done_.load(std::memory_order_acquire) == posted_.load(std::memory_order_relaxed);
  }
  // In all. relaxed: exact once is_idle().
  [[nodiscard]] uint64_t removed() const { return removed_.load(std::memory_order_relaxed); }
  // relaxed: a hint for how long to sleep, nothing is read on the strength of it.
  void expect_more(bool more) { more_.store(more, std::memory_order_relaxed); }

  // --- owner ---

  // Forgets up to `flows_max` of the list.
  void serve(FlowTable& table, uint32_t flows_max) {
    if (!is_pending()) return;
    const size_t count = std::min<size_t>(flows_max, flows_.size() - next_);
    const uint64_t removed = table.flush(std::span(flows_).subspan(next_, count));
    removed_.store(removed_.load(std::memory_order_relaxed) + removed, std::memory_order_relaxed);
    next_ += count;
    if (next_ < flows_.size()) return;
    next_ = 0;
    done_.store(done_.load(std::memory_order_relaxed) + 1, std::memory_order_release);  // pairs with is_idle()
  }
  [[nodiscard]] bool is_pending() const {
    return posted_.load(std::memory_order_acquire) != done_.load(std::memory_order_relaxed);  // pairs with post()
  }
  [[nodiscard]] bool expects_more() const { return more_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint32_t> posted_{0};  // lists; written by control
  std::atomic<uint32_t> done_{0};    // of these; written by the owner
  std::atomic<bool> more_{false};
  // Of whoever's turn it is: control's while idle, else the owner's.
  std::vector<FlowHandle> flows_;
  size_t next_ = 0;
  std::atomic<uint64_t> removed_{0};  // written by the owner
};

}  // namespace xdplb
