#include "umem/port.h"

#include <cerrno>
#include <utility>

namespace xdplb {

Kick kick_of_errno(int sys_errno) {
  switch (sys_errno) {
    case 0: return Kick::done;
    case EAGAIN:
    case EINTR: return Kick::again;
    case EBUSY: return Kick::dropped;
    case ENOBUFS:
    case ENOMEM: return Kick::no_memory;
    case ENETDOWN:
    case ENXIO:
    case ENODEV: return Kick::down;
    default: return Kick::failed;
  }
}

Port::Port(PortId id, FrameArea area, PortRings rings, PortKernel& kernel, FramePool& pool)
    : id_(id),
      fd_(rings.fd),
      zero_copy_(rings.zero_copy),
      wakeup_flags_(rings.wakeup_flags),
      area_(area),
      rx_(std::move(rings.rx)),
      fill_(std::move(rings.fill)),
      tx_(std::move(rings.tx)),
      completion_(std::move(rings.completion)),
      kernel_(kernel),
      pool_(pool),
      rx_frames_max_((fill_ ? fill_->size() : 0) + (rx_ ? rx_->size() : 0)),
      rx_outstanding_(rings.prefilled) {
  XDPLB_CHECK(id.value < kMaxPortsPerWorker);
  XDPLB_CHECK(!tx_ || completion_);
  XDPLB_CHECK(!rx_ || fill_);
  XDPLB_CHECK(pool.capacity() <= area.frames() && pool.ledger().frame_size() == area.frame_size());
}

void Port::wake_rx() {
  ++counters_.rx_kicks;
  const Kick kick = kernel_.kick_rx();
  down_ = kick == Kick::down;
  if (kick != Kick::done && kick != Kick::again) ++counters_.rx_kicks_failed;
}

void Port::kick(uint64_t now_ns) {
  if (!tx_ || now_ns < retry_at_ns_) return;
  for (uint32_t kicks = 0; kicks < kKicksMax && tx_->queued() != 0; ++kicks) {
    // In copy mode the flag is always up; a driver lowers it while it is at work anyway.
    if (wakeup_flags_ && !tx_->need_wakeup()) return;
    if (!kick_once(now_ns)) return;
  }
}

bool Port::kick_once(uint64_t now_ns) {
  const uint32_t queued_before = tx_->queued();
  ++counters_.tx_kicks;
  const Kick kick = kernel_.kick_tx();
  // Completions first: a full completion ring is one of the causes of EAGAIN.
  const uint32_t reaped = reap();
  const bool progress = reaped != 0 || tx_->queued() != queued_before;
  down_ = kick == Kick::down;
  switch (kick) {
    case Kick::done:
      // A driver goes on by itself. In copy mode a call that takes nothing, without an error, is what a queue
      // beyond the device's transmit queues gives.
      if (zero_copy_ || progress) return !zero_copy_;
      ++counters_.tx_kicks_idle;
      break;
    case Kick::again:
      ++counters_.tx_kicks_again;
      if (progress) return true;
      break;
    case Kick::dropped:
      ++counters_.tx_dropped;
      --counters_.tx_packets;
      return true;
    case Kick::no_memory:
      ++counters_.tx_kicks_no_memory;
      retry_at_ns_ = now_ns + kRetryNoMemoryNs;
      return false;
    case Kick::down:
    case Kick::failed:
      ++counters_.tx_kicks_failed;
      retry_at_ns_ = now_ns + kRetryDownNs;
      return false;
  }
  retry_at_ns_ = now_ns + kRetryAgainNs;
  return false;
}

uint32_t Port::give_up_queued() {
  if (!tx_) return 0;
  const uint32_t queued = tx_->queued();
  counters_.tx_packets -= queued;
  tx_.reset();  // so that it cannot be kicked after all, and counted twice
  return queued;
}

bool Port::conserved() const {
  const FrameLedger& ledger = pool_.ledger();
  return ledger.count(FrameOwner::rx(id_)) == rx_outstanding_ && ledger.count(FrameOwner::tx(id_)) == tx_outstanding_;
}

}  // namespace xdplb
