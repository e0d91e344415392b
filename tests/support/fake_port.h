// FakePort: plays the kernel and the device for a Port, over plain memory. Single thread.
//
//   std::vector<std::byte> memory(64 * kFrameBytes);      // or a MappedRegion
//   FrameArea area(memory);
//   FramePool pool(64);
//   FakePort fake(area, {});                              // the kernel's ends of four rings
//   Port port(PortId{0}, area, fake.rings(), fake, pool); // the worker's ends
//
//   port.refill();
//   fake.deliver(packet);      // the kernel takes a frame from the fill ring and puts the packet on the RX ring
//   ... run the worker ...     // port.kick() calls kick_tx(), which consumes the TX ring and completes
//   fake.sent()                // the packets' bytes, in order
//
// It behaves as copy mode does: TX moves only inside kick_tx(), at most `tx_budget` packets a call; a place in the
// completion ring is taken before a packet is sent (EAGAIN when there is none); an invalid descriptor is skipped and
// never completes. It aborts (XDPLB_CHECK) on what a real kernel would not notice but corrupts packets: an address
// twice in the fill ring, a frame sent while the kernel still has it, options that are not zero.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "umem/frame.h"
#include "umem/port.h"
#include "umem/port_kernel.h"
#include "umem/ring.h"

namespace xdplb::testing {

struct FakePortOptions {
  uint32_t rx_size = 64;  // 0: no RX and no fill ring, a TX-only port
  uint32_t fill_size = 64;
  uint32_t tx_size = 64;  // 0: no TX and no completion ring, an RX-only port
  uint32_t completion_size = 64;
  uint32_t start_index = 0xffff'fff0;  // of every ring: wraps soon
  uint32_t tx_budget = 32;             // packets of one kick_tx()
  uint32_t headroom_bytes = 256;       // before a received packet in its frame
  bool zero_copy = false;
};

class FakePort : public PortKernel {
 public:
  FakePort(FrameArea area, const FakePortOptions& options);
  ~FakePort() override;

  // The worker's ends. Every call gives fresh ones, as after a re-bind; use one set at a time.
  [[nodiscard]] PortRings rings();

  // --- receive ---
  // A packet arrives. False if it is lost: no empty frame, RX ring full, or longer than a frame has room for.
  bool deliver(std::span<const std::byte> packet);
  [[nodiscard]] uint64_t rx_lost() const { return rx_lost_; }
  // Raises the fill ring's flag; kick_rx() lowers it.
  void ask_for_rx_kick();

  // --- transmit ---
  enum class Completion : uint8_t { at_once, withheld };
  // Withheld: sent frames stay with the kernel (a stalled peer) until complete() or complete_shuffled().
  void set_completion(Completion mode) { completion_mode_ = mode; }
  // Completes up to `n` withheld frames, oldest first, as far as the worker has reaped. Returns how many.
  uint32_t complete(uint32_t n);
  // All of them, in an order that `seed` decides.
  uint32_t complete_shuffled(uint64_t seed);
  [[nodiscard]] uint32_t withheld() const { return static_cast<uint32_t>(withheld_.size()); }

  // The next `times` kicks give this errno. EBUSY consumes and completes one packet that is not sent; the others
  // consume nothing.
  void fail_tx_kicks(int sys_errno, uint32_t times);
  void fail_rx_kicks(int sys_errno, uint32_t times);
  // A queue beyond the device's transmit queues: kicks succeed and do nothing.
  void set_deaf(bool deaf) { deaf_ = deaf; }
  // Called before each kick is served.
  void on_tx_kick(std::function<void()> see) { on_tx_kick_ = std::move(see); }
  // Raises or lowers the TX ring's flag (up from the start, as in copy mode).
  void set_tx_need_wakeup(bool on);

  struct Packet {
    FrameAddr addr;
    std::vector<std::byte> bytes;
  };
  [[nodiscard]] const std::vector<Packet>& sent() const { return sent_; }
  std::vector<Packet> take_sent();
  [[nodiscard]] uint64_t tx_dropped() const { return tx_dropped_; }  // by EBUSY
  [[nodiscard]] uint64_t tx_invalid() const { return tx_invalid_; }  // skipped, never completed

  [[nodiscard]] uint64_t tx_kicks() const { return tx_kicks_; }
  [[nodiscard]] uint64_t rx_kicks() const { return rx_kicks_; }
  // Frames in the fill ring that have not received anything.
  [[nodiscard]] uint32_t fill_queued() const;
  // Packets that the worker has not received.
  [[nodiscard]] uint32_t rx_queued() const;
  // Packets that the worker has queued and nobody has kicked.
  [[nodiscard]] uint32_t tx_queued() const;

  // --- PortKernel, called by the Port ---
  Kick kick_tx() override;
  Kick kick_rx() override;

 private:
  struct Ring;  // the kernel's end of one ring, and its memory

  [[nodiscard]] uint32_t index(FrameAddr addr) const { return area_.frame_size().index(addr); }
  void check_fill();
  void consume_one(bool send);
  [[nodiscard]] bool completion_has_room() const;

  FrameArea area_;
  FakePortOptions options_;
  std::unique_ptr<Ring> rx_, fill_, tx_, completion_;
  Completion completion_mode_ = Completion::at_once;
  std::deque<FrameAddr> withheld_;
  std::vector<bool> has_;  // by frame index: the kernel may write to it or read it
  std::vector<Packet> sent_;
  uint32_t fill_checked_;  // fill entries before this index have been looked at
  uint32_t tx_failures_ = 0;
  uint32_t rx_failures_ = 0;
  int tx_errno_ = 0;
  int rx_errno_ = 0;
  bool deaf_ = false;
  std::function<void()> on_tx_kick_ = [] {};
  uint64_t rx_lost_ = 0;
  uint64_t tx_dropped_ = 0;
  uint64_t tx_invalid_ = 0;
  uint64_t tx_kicks_ = 0;
  uint64_t rx_kicks_ = 0;
};

}  // namespace xdplb::testing
