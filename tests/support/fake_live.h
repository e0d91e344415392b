// FakeLive: plays xdp_egress_live and the system call that runs it, over plain memory. Single thread.
//
//   FakeLive fake;
//   LiveTransmit live(fake.run_word(), fake.stage(), 7, 1518, TxChoice::live, fake);
//   live.stage(area, packets);
//   live.send_staged();
//   fake.take_sent()                 // the packets' bytes, in order
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "user/path/live_transmit.h"

namespace xdplb::testing {

class FakeLive : public LiveKernel {
 public:
  [[nodiscard]] xdplb_live_run& run_word() { return run_; }
  [[nodiscard]] xdplb_stage& stage() { return *stage_; }

  // The next call ends after `packets`, with this errno. Calls made so are taken in order.
  void end_early(uint32_t packets, int sys_errno) { ends_.emplace_back(packets, sys_errno); }
  // The next packet that is taken is refused by the program.
  void refuse_one() { ++refuse_; }

  [[nodiscard]] std::vector<std::vector<std::byte>> take_sent() { return std::exchange(sent_, {}); }
  [[nodiscard]] uint32_t calls() const { return calls_; }

  int run(uint32_t repeat) override {
    ++calls_;
    XDPLB_CHECK(run_.armed == 1 && run_.ifindex != 0);
    std::pair<uint32_t, int> end(repeat, 0);
    if (!ends_.empty()) {
      end = ends_.front();
      ends_.pop_front();
    }
    for (uint32_t i = 0; i < repeat && i < end.first && run_.tail < run_.count; ++i) take_one();
    return end.second;
  }

 private:
  void take_one() {
    XDPLB_CHECK(run_.next_at <= sizeof(xdplb_stage) - sizeof(xdplb_staged) && run_.next_at % 8 == 0);
    const auto& staged = *reinterpret_cast<const xdplb_staged*>(stage_->bytes + run_.next_at);
    ++run_.tail;
    run_.next_at += staged.stride;
    if (refuse_ != 0 || staged.len_bytes < kLiveFrameMin || staged.len_bytes > kLiveFrameMax) {
      refuse_ -= refuse_ != 0 ? 1 : 0;
      ++run_.refused;
      return;
    }
    const auto* bytes = reinterpret_cast<const std::byte*>(staged.bytes);
    sent_.emplace_back(bytes, bytes + staged.len_bytes);
  }

  xdplb_live_run run_ = {};
  std::unique_ptr<xdplb_stage> stage_ = std::make_unique<xdplb_stage>();
  std::deque<std::pair<uint32_t, int>> ends_;
  std::vector<std::vector<std::byte>> sent_;
  uint32_t refuse_ = 0;
  uint32_t calls_ = 0;
};

}  // namespace xdplb::testing
