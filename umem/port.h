// Port: a worker's end of one (device, queue): the rings of one socket, and the system calls that move them.
//
// A worker sees only Ports. The rings may be a socket's (umem/xsk_socket.h) or plain memory, and the system calls
// go through PortKernel, so a test plays the kernel. Owned and used by one worker thread, with that worker's pool.
// What it lacks it does without: a TX-only port receives nothing, an RX-only port takes nothing.
//
// Invariants: every frame that the kernel has through this port is counted, rx_outstanding() and tx_outstanding(),
// and is under this port's name in the pool's ledger (conserved()). The receive side never has more than fill ring
// plus RX ring frames, whatever the driver keeps in a ring of its own; the transmit side never more than TX ring
// plus completion ring, since the kernel reserves the completion before it sends. So the sum of umem/sizing.h
// holds by construction, and a stalled peer cannot starve the fill ring.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

#include "umem/frame.h"
#include "umem/frame_pool.h"
#include "umem/port_kernel.h"
#include "umem/ring.h"

namespace xdplb {

// What a Port is made of. A socket fills it in (XskSocket::port_rings), or a test.
struct PortRings {
  std::optional<RxRing> rx;
  std::optional<FillRing> fill;
  std::optional<TxRing> tx;
  std::optional<CompletionRing> completion;  // always with tx
  uint32_t prefilled = 0;                    // frames in the fill ring already, in the ledger under the port's name
  int fd = -1;                               // for poll(); not owned
  bool zero_copy = false;    // the driver sends on its own once woken; in copy mode only the system call does
  bool wakeup_flags = true;  // bound with XDP_USE_NEED_WAKEUP: the rings' flags mean something
};

// Written by the worker alone. Other threads get copies from it, not this.
struct PortCounters {
  uint64_t rx_packets = 0;
  uint64_t tx_packets = 0;      // taken by transmit(); tx_dropped and tx_invalid are not among them any more
  uint64_t tx_dropped = 0;      // EBUSY: consumed and completed, but not sent; drop reason tx_error
  uint64_t tx_invalid = 0;      // refused by transmit() because the kernel would never complete it; tx_error
  uint64_t tx_completed = 0;    // frames that came back, sent or dropped
  uint64_t tx_kicks = 0;        // system calls
  uint64_t tx_kicks_again = 0;  // of those: EAGAIN
  uint64_t tx_kicks_no_memory = 0;
  uint64_t tx_kicks_failed = 0;  // device down, or an errno that we do not know
  uint64_t tx_kicks_idle = 0;    // returned without taking or completing anything
  uint64_t rx_kicks = 0;
  uint64_t rx_kicks_failed = 0;
  uint64_t fill_starved = 0;  // refills that found the pool empty: a bug in the sizing
};

class alignas(kLineBytes) Port {
 public:
  Port(PortId id, FrameArea area, PortRings rings, PortKernel& kernel, FramePool& pool);
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  [[nodiscard]] PortId id() const { return id_; }
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] bool receives() const { return rx_.has_value(); }
  [[nodiscard]] bool transmits() const { return tx_.has_value(); }
  [[nodiscard]] bool zero_copy() const { return zero_copy_; }
  [[nodiscard]] uint32_t rx_entries() const { return rx_ ? rx_->size() : 0; }
  [[nodiscard]] const PortCounters& counters() const { return counters_; }

  // Gives free frames to the kernel until it has as many as it may, and wakes it if it asks for that. Before
  // anything else in a turn. Returns how many.
  uint32_t refill();

  // Takes up to packets.size() received packets; their frames now belong to the worker's batch. Returns how many.
  [[nodiscard]] uint32_t receive(std::span<FrameRef> packets);

  // Queues packets of the worker's batch and returns how many it took, in order: all, or as many as the TX ring has
  // room for; the rest stays the worker's to drop (tx_full). Nothing is sent before kick(). One that the kernel
  // would refuse is taken too, but recycled and counted in tx_invalid.
  [[nodiscard]] uint32_t transmit(std::span<const FrameRef> packets);

  // Takes back what the kernel is done with. On every turn, received or not. Returns how many frames.
  uint32_t reap();

  // Makes the kernel send what is queued: as many system calls as that takes, at most kKicksMax. What it could not
  // send now stays queued; call it on every turn while tx_queued() != 0. After a call that achieved nothing it waits
  // a little before the next (retry_at_ns()), so that a stalled peer does not cost a system call per turn.
  void kick(uint64_t now_ns);

  // Before the socket is closed: what is queued will not be sent. Takes it out of tx_packets and returns how many,
  // for the worker to count as dropped; the frames come back with FramePool::reclaim().
  uint32_t give_up_queued();

  [[nodiscard]] uint32_t tx_queued() { return tx_ ? tx_->queued() : 0; }     // not yet taken by the kernel
  [[nodiscard]] uint32_t tx_outstanding() const { return tx_outstanding_; }  // not yet completed
  [[nodiscard]] uint32_t rx_outstanding() const { return rx_outstanding_; }  // empty or not yet received
  [[nodiscard]] uint64_t retry_at_ns() const { return retry_at_ns_; }

  // The last system call said that the device is down or gone; a later one that works says otherwise. Packets for
  // such a port are dropped as tx_down by the worker.
  [[nodiscard]] bool is_down() const { return down_; }

  // True if the ledger knows exactly the frames that the port counts. Walks over all frames.
  [[nodiscard]] bool conserved() const;

  static constexpr uint32_t kKicksMax = 32;  // copy mode sends 32 packets a call: four batches
  static constexpr uint64_t kRetryAgainNs = 50'000;
  static constexpr uint64_t kRetryNoMemoryNs = 200'000;
  static constexpr uint64_t kRetryDownNs = 10'000'000;

 private:
  // One system call; true if another may achieve more.
  bool kick_once(uint64_t now_ns);
  void wake_rx();

  PortId id_;
  int fd_;
  bool zero_copy_;
  bool wakeup_flags_;
  bool down_ = false;
  FrameArea area_;
  std::optional<RxRing> rx_;
  std::optional<FillRing> fill_;
  std::optional<TxRing> tx_;
  std::optional<CompletionRing> completion_;
  PortKernel& kernel_;
  FramePool& pool_;
  uint32_t rx_frames_max_;
  uint32_t rx_outstanding_ = 0;
  uint32_t tx_outstanding_ = 0;
  uint64_t retry_at_ns_ = 0;
  PortCounters counters_;
};

inline uint32_t Port::refill() {
  if (!fill_) return 0;
  const uint32_t wanted = rx_frames_max_ - rx_outstanding_;
  uint32_t given = 0;
  if (wanted != 0) {
    FillRing::Slots slots = fill_->reserve(wanted);
    if (slots.size() > pool_.size()) ++counters_.fill_starved;
    given = std::min(slots.size(), pool_.size());
    for (uint32_t i = 0; i < given; ++i) slots.set(i, pool_.take(FrameOwner::rx(id_)));
    fill_->submit(given);
    rx_outstanding_ += given;
  }
  if (wakeup_flags_ && fill_->need_wakeup()) wake_rx();
  return given;
}

inline uint32_t Port::receive(std::span<FrameRef> packets) {
  if (!rx_) return 0;
  const RxRing::View received = rx_->peek(static_cast<uint32_t>(packets.size()));
  for (uint32_t i = 0; i < received.size(); ++i) {
    packets[i] = received[i];
    pool_.ledger().move(packets[i].addr, FrameOwner::rx(id_), FrameOwner::batch());
  }
  rx_->release(received.size());
  XDPLB_DCHECK(rx_outstanding_ >= received.size());
  rx_outstanding_ -= received.size();
  counters_.rx_packets += received.size();
  return received.size();
}

inline uint32_t Port::transmit(std::span<const FrameRef> packets) {
  if (!tx_) return 0;
  TxRing::Slots slots = tx_->reserve(static_cast<uint32_t>(packets.size()));
  uint32_t queued = 0;
  for (uint32_t i = 0; i < slots.size(); ++i) {
    if (!area_.contains(packets[i])) [[unlikely]] {
      // Its length is wrong. A wrong address is not a packet but a corrupted worker.
      XDPLB_CHECK(packets[i].addr.offset < area_.len_bytes());
      ++counters_.tx_invalid;
      pool_.recycle(packets[i].addr);
      continue;
    }
    pool_.ledger().move(packets[i].addr, FrameOwner::batch(), FrameOwner::tx(id_));
    slots.set(queued++, packets[i]);
  }
  tx_->submit(queued);
  tx_outstanding_ += queued;
  counters_.tx_packets += queued;
  return slots.size();
}

inline uint32_t Port::reap() {
  if (tx_outstanding_ == 0) return 0;
  const CompletionRing::View done = completion_->peek(tx_outstanding_);
  for (uint32_t i = 0; i < done.size(); ++i) pool_.put(done[i], FrameOwner::tx(id_));
  completion_->release(done.size());
  tx_outstanding_ -= done.size();
  counters_.tx_completed += done.size();
  return done.size();
}

}  // namespace xdplb
