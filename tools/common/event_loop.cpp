#include "tools/common/event_loop.h"

#include "user/base/check.h"
#include "user/base/clock.h"

namespace xdplb::tools {
namespace {

uint64_t token_of(uint32_t slot, uint32_t sequence) {
  return uint64_t{sequence} << 32 | slot;
}

}  // namespace

EventLoop::EventLoop(std::unique_ptr<Poller> poller) : poller_(std::move(poller)), now_ns_(monotonic_ns()) {}

Result<void> EventLoop::run() {
  stopped_ = false;
  while (!stopped_) {
    now_ns_ = monotonic_ns();
    ready_.clear();
    if (auto waited = poller_->wait(ready_, timeout_ns()); !waited) return waited;
    now_ns_ = monotonic_ns();
    for (const ReadyEvent& event : ready_) dispatch(event);
    retired_.clear();  // before the timers: what they begin may need the descriptors
    fire_timers();
    retired_.clear();
  }
  return {};
}

int64_t EventLoop::timeout_ns() const {
  if (timers_.empty()) return -1;
  const uint64_t deadline_ns = timers_.begin()->first;
  return deadline_ns <= now_ns_ ? 0 : static_cast<int64_t>(deadline_ns - now_ns_);
}

void EventLoop::dispatch(const ReadyEvent& event) {
  const auto index = static_cast<uint32_t>(event.token);
  if (index >= slots_.size()) return;
  Slot& slot = slots_[index];
  if (slot.fd < 0 || token_of(index, slot.sequence) != event.token) return;
  slot.fd = -1;
  slot.watcher->on_ready(event.events);
}

void EventLoop::fire_timers() {
  // Only those that are due now: a timer set again for "now" waits for the next turn, so that no watcher starves the
  // descriptors.
  std::vector<uint32_t> due;
  for (const auto& [deadline_ns, slot] : timers_) {
    if (deadline_ns > now_ns_) break;
    due.push_back(slot);
  }
  for (const uint32_t slot : due) {
    if (slots_[slot].deadline_ns == 0 || slots_[slot].deadline_ns > now_ns_) continue;  // an earlier one changed it
    clear_timer(slot);
    slots_[slot].watcher->on_timer();
  }
}

uint32_t EventLoop::take_slot(Watcher& watcher) {
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const uint32_t slot = free_.back();
  free_.pop_back();
  slots_[slot].watcher = &watcher;
  return slot;
}

void EventLoop::free_slot(uint32_t slot) {
  disarm(slot);
  clear_timer(slot);
  slots_[slot].watcher = nullptr;
  free_.push_back(slot);
}

void EventLoop::arm(uint32_t slot, int fd, uint32_t events) {
  XDPLB_CHECK(fd >= 0);
  Slot& s = slots_[slot];
  if (s.fd == fd && s.events == events) return;
  disarm(slot);
  s.fd = fd;
  s.events = events;
  ++s.sequence;
  poller_->arm(fd, events, token_of(slot, s.sequence));
}

void EventLoop::disarm(uint32_t slot) {
  Slot& s = slots_[slot];
  if (s.fd < 0) return;
  poller_->disarm(s.fd, token_of(slot, s.sequence));
  s.fd = -1;
}

void EventLoop::set_timer(uint32_t slot, uint64_t deadline_ns) {
  clear_timer(slot);
  slots_[slot].deadline_ns = deadline_ns == 0 ? 1 : deadline_ns;
  timers_.emplace(slots_[slot].deadline_ns, slot);
}

void EventLoop::clear_timer(uint32_t slot) {
  Slot& s = slots_[slot];
  if (s.deadline_ns == 0) return;
  timers_.erase({s.deadline_ns, slot});
  s.deadline_ns = 0;
}

}  // namespace xdplb::tools
