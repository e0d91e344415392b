// LiveTransmit: a worker's second way out of the egress device: a batch as live frames (kern/live_transmit.h) instead
// of through the TX ring.
//
// XSK transmit in copy mode makes a socket buffer of every packet, some 1.4 us each; live frames cost some 20 us a
// call and 0.25 us a packet. So a batch goes live from kLiveFromPackets on, and a few packets go by the ring.
//
// Packets are copied to the worker's stage, a mapped array of the kernel program: their frames are free at once. What
// is staged leaves in one call, send_staged(). It belongs to one worker thread; the control thread says whether the
// device takes live frames at the time (set_usable), since what is on its other end may change.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "kern/abi.h"
#include "umem/frame.h"
#include "user/base/limits.h"

namespace xdplb {

enum class TxChoice : uint8_t { automatic, xsk, live };

// The system call, as an interface: BPF_PROG_TEST_RUN with live frames, or a test.
class LiveKernel {
 public:
  LiveKernel() = default;
  LiveKernel(const LiveKernel&) = delete;
  LiveKernel& operator=(const LiveKernel&) = delete;
  virtual ~LiveKernel() = default;

  // Runs the program up to `repeat` times, each on the packet at the run's tail. 0 or an errno; early ends
  // (EINTR, ENOMEM) leave the tail where they happened.
  [[nodiscard]] virtual int run(uint32_t repeat) = 0;
};

inline constexpr uint32_t kLiveFromPackets = 24;  // fewer are cheaper through the TX ring
inline constexpr uint32_t kLiveFrameMin = 14;
inline constexpr uint32_t kLiveFrameMax = sizeof(xdplb_staged::bytes);
static_assert(kMaxBatch * sizeof(xdplb_staged) <= XDPLB_STAGE_BYTES, "a batch of the longest fits the stage");

class LiveTransmit {
 public:
  // `run` and `stage` are this worker's part of the mapped arrays and outlive this. The longest frame that the device
  // takes is `frame_max` bytes: the kernel drops longer ones without a word.
  LiveTransmit(xdplb_live_run& run, xdplb_stage& stage, uint32_t ifindex, uint32_t frame_max, TxChoice choice,
               LiveKernel& kernel);
  LiveTransmit(const LiveTransmit&) = delete;
  LiveTransmit& operator=(const LiveTransmit&) = delete;

  // Whether these packets should go this way. All do or none, which keeps the order within a flow.
  [[nodiscard]] bool takes(std::span<const FrameRef> packets) const;

  // Whether the stage has room for a batch of the longest packets behind what it has already.
  [[nodiscard]] bool has_room() const {
    return staged_bytes_ <= XDPLB_STAGE_BYTES - kMaxBatch * sizeof(xdplb_staged);
  }

  // Copies up to kMaxBatch packets to the stage, behind those that wait there. The frames are the caller's again.
  void stage(const FrameArea& area, std::span<const FrameRef> packets);
  [[nodiscard]] uint32_t staged() const { return staged_; }  // packets

  // Sends what is staged, in order. Returns how many left; what the kernel refused for good is not among them.
  [[nodiscard]] uint32_t send_staged();

  // Any thread. Not usable: takes() says no.
  void set_usable(bool usable) { usable_.store(usable, std::memory_order_relaxed); }
  [[nodiscard]] bool usable() const { return usable_.load(std::memory_order_relaxed); }

  // Calls that achieved nothing, in a row, after which the rest of a batch is given up.
  static constexpr uint32_t kIdleCallsMax = 16;

 private:
  xdplb_live_run& run_;
  xdplb_stage& stage_;
  uint32_t staged_ = 0;
  uint32_t staged_bytes_ = 0;
  uint32_t frame_max_;
  uint32_t from_packets_;
  LiveKernel& kernel_;
  std::atomic<bool> usable_{true};
};

}  // namespace xdplb
