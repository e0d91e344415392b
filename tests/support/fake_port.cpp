#include "tests/support/fake_port.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>
#include <utility>

#include "user/base/check.h"

namespace xdplb::testing {

// Shares no code with umem/ring.h: an error there must not cancel out here. Sequentially consistent, single thread.
struct FakePort::Ring {
  explicit Ring(uint32_t ring_size, uint32_t start)
      : size(ring_size), producer(start), consumer(start), addrs(ring_size), descs(ring_size) {}

  uint32_t size;
  uint32_t producer;
  uint32_t consumer;
  uint32_t flags = 0;
  std::vector<__u64> addrs;     // fill, completion
  std::vector<xdp_desc> descs;  // RX, TX

  [[nodiscard]] uint32_t used() const { return producer - consumer; }
  [[nodiscard]] RingMemory memory(void* entries) { return {&producer, &consumer, &flags, entries, size}; }
};

FakePort::FakePort(FrameArea area, const FakePortOptions& options)
    : area_(area), options_(options), has_(area.frames(), false), fill_checked_(options.start_index) {
  const uint32_t start = options.start_index;
  if (options.rx_size != 0) rx_ = std::make_unique<Ring>(options.rx_size, start);
  if (options.rx_size != 0) fill_ = std::make_unique<Ring>(options.fill_size, start);
  if (options.tx_size != 0) tx_ = std::make_unique<Ring>(options.tx_size, start);
  if (options.tx_size != 0) completion_ = std::make_unique<Ring>(options.completion_size, start);
  set_tx_need_wakeup(true);
}

FakePort::~FakePort() = default;

PortRings FakePort::rings() {
  PortRings rings;
  if (rx_) rings.rx.emplace(rx_->memory(rx_->descs.data()));
  if (fill_) rings.fill.emplace(fill_->memory(fill_->addrs.data()));
  if (tx_) rings.tx.emplace(tx_->memory(tx_->descs.data()));
  if (completion_) rings.completion.emplace(completion_->memory(completion_->addrs.data()));
  rings.zero_copy = options_.zero_copy;
  return rings;
}

uint32_t FakePort::fill_queued() const {
  return fill_ ? fill_->used() : 0;
}
uint32_t FakePort::rx_queued() const {
  return rx_ ? rx_->used() : 0;
}
uint32_t FakePort::tx_queued() const {
  return tx_ ? tx_->used() : 0;
}

// Every new fill entry must be a chunk of the area that the kernel does not have yet.
void FakePort::check_fill() {
  XDPLB_CHECK(fill_->used() <= fill_->size);
  for (; fill_checked_ != fill_->producer; ++fill_checked_) {
    const FrameAddr addr{fill_->addrs[fill_checked_ % fill_->size]};
    XDPLB_CHECK(area_.frame_size().offset_in(addr) == 0 && index(addr) < area_.frames());
    XDPLB_CHECK(!has_[index(addr)]);
    has_[index(addr)] = true;
  }
}

bool FakePort::deliver(std::span<const std::byte> packet) {
  XDPLB_CHECK(rx_ != nullptr);
  check_fill();
  const bool fits = !packet.empty() && packet.size() <= area_.frame_size().bytes() - options_.headroom_bytes;
  if (!fits || fill_->used() == 0 || rx_->used() == rx_->size) {
    ++rx_lost_;
    return false;
  }
  const FrameAddr frame{fill_->addrs[fill_->consumer++ % fill_->size]};
  const FrameAddr data = frame + options_.headroom_bytes;
  std::memcpy(area_.at(data), packet.data(), packet.size());
  has_[index(frame)] = false;
  rx_->descs[rx_->producer++ % rx_->size] = {data.offset, static_cast<uint32_t>(packet.size()), 0};
  return true;
}

void FakePort::ask_for_rx_kick() {
  XDPLB_CHECK(fill_ != nullptr);
  fill_->flags |= XDP_RING_NEED_WAKEUP;
}

void FakePort::set_tx_need_wakeup(bool on) {
  if (tx_) tx_->flags = on ? XDP_RING_NEED_WAKEUP : 0;
}

void FakePort::fail_tx_kicks(int sys_errno, uint32_t times) {
  tx_errno_ = sys_errno;
  tx_failures_ = times;
}

void FakePort::fail_rx_kicks(int sys_errno, uint32_t times) {
  rx_errno_ = sys_errno;
  rx_failures_ = times;
}

bool FakePort::completion_has_room() const {
  return completion_->used() + withheld_.size() < completion_->size;
}

void FakePort::consume_one(bool send) {
  const xdp_desc desc = tx_->descs[tx_->consumer++ % tx_->size];
  const FrameRef frame{{desc.addr}, desc.len};
  XDPLB_CHECK(desc.options == 0);
  if (!area_.contains(frame)) {
    ++tx_invalid_;
    return;
  }
  if (rx_) check_fill();
  XDPLB_CHECK(!has_[index(frame.addr)]);
  has_[index(frame.addr)] = true;
  if (send) {
    const std::span<std::byte> bytes = area_.bytes(frame);
    sent_.push_back({frame.addr, {bytes.begin(), bytes.end()}});
  } else {
    ++tx_dropped_;
  }
  withheld_.push_back(frame.addr);
  // What the stack drops it lets go of at once, whatever the peer does with the others.
  if (!send) {
    std::rotate(withheld_.begin(), std::prev(withheld_.end()), withheld_.end());
    complete(1);
  } else if (completion_mode_ == Completion::at_once) {
    complete(1);
  }
}

uint32_t FakePort::complete(uint32_t n) {
  uint32_t completed = 0;
  while (completed < n && !withheld_.empty() && completion_->used() < completion_->size) {
    const FrameAddr addr = withheld_.front();
    withheld_.pop_front();
    has_[index(addr)] = false;
    completion_->addrs[completion_->producer++ % completion_->size] = addr.offset;
    ++completed;
  }
  return completed;
}

uint32_t FakePort::complete_shuffled(uint64_t seed) {
  std::shuffle(withheld_.begin(), withheld_.end(), std::mt19937_64(seed));
  return complete(withheld());
}

std::vector<FakePort::Packet> FakePort::take_sent() {
  return std::exchange(sent_, {});
}

Kick FakePort::kick_tx() {
  ++tx_kicks_;
  on_tx_kick_();
  XDPLB_CHECK(tx_ != nullptr);  // a real socket without a TX ring says ENOBUFS for ever
  XDPLB_CHECK(tx_->used() <= tx_->size);
  if (tx_failures_ != 0) {
    --tx_failures_;
    if (tx_errno_ == EBUSY && tx_->used() != 0) consume_one(false);
    return kick_of_errno(tx_errno_);
  }
  if (deaf_) return Kick::done;
  for (uint32_t n = 0; tx_->used() != 0; ++n) {
    if (n == options_.tx_budget || !completion_has_room()) return Kick::again;
    consume_one(true);
  }
  return Kick::done;
}

Kick FakePort::kick_rx() {
  ++rx_kicks_;
  if (rx_failures_ != 0) {
    --rx_failures_;
    return kick_of_errno(rx_errno_);
  }
  if (fill_) fill_->flags = 0;
  return Kick::done;
}

}  // namespace xdplb::testing
