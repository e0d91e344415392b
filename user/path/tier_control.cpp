#include "user/path/tier_control.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "user/base/clock.h"
#include "user/base/log.h"

namespace xdplb {

TierControl::~TierControl() {
  serve({});
}

Result<void> TierControl::set(const Tier& tier) {
  if (watch_ && watch_->tier().agreement() == tier.agreement() && watch_->tier().own_index() == tier.own_index()) {
    return {};
  }
  if (watch_ && !ifindexes_.empty()) say(true);
  watches_.close();
  socket_.reset();
  live_ = disagreeing_ = 0;
  // relaxed: a mask stands for itself; one that is late sends fragments where they would have gone a moment ago.
  live_peers_.store(0, std::memory_order_relaxed);
  watch_.reset();
  if (!tier.exists()) return {};
  watch_.emplace(tier);
  return open();
}

Result<void> TierControl::open() {
  auto socket = TierSocket::open();
  if (!socket) return socket.error();
  socket_.emplace(std::move(*socket));
  return watches_.open(
      socket_->fd(), [this] { listen(); }, kTierHelloEveryNs, [this] { tick(); });
}

void TierControl::serve(std::vector<uint32_t> ifindexes) {
  const bool served = !ifindexes_.empty();
  if (watch_ && served && ifindexes.empty()) say(true);
  ifindexes_ = std::move(ifindexes);
  if (watch_ && !ifindexes_.empty()) say(false);
}

void TierControl::tick() {
  if (!ifindexes_.empty()) say(false);
  publish();
}

void TierControl::say(bool leaves) {
  if (!socket_) return;
  TierHello hello = watch_->hello(monotonic_ns());
  hello.leaves = leaves;
  const TierHelloBytes bytes = encode_hello(hello);
  for (uint32_t member = 0; member < watch_->tier().size(); ++member) {
    if (member == watch_->tier().own_index()) continue;
    for (const uint32_t ifindex : ifindexes_) socket_->send(ifindex, watch_->tier().mac(member), bytes);
  }
}

void TierControl::listen() {
  const uint64_t now_ns = monotonic_ns();
  socket_->receive([&](uint32_t ifindex, const MacAddr& source, std::span<const uint8_t> bytes) {
    if (std::find(ifindexes_.begin(), ifindexes_.end(), ifindex) == ifindexes_.end()) return;
    if (const auto hello = decode_hello(bytes)) watch_->heard(source, *hello, now_ns);
  });
  publish();
}

// To the workers, and to the operator where it is news.
void TierControl::publish() {
  const uint64_t now_ns = monotonic_ns();
  const Tier& tier = watch_->tier();
  const TierMask live = watch_->live(now_ns), disagreeing = watch_->disagreeing(now_ns);
  live_peers_.store(live, std::memory_order_relaxed);
  for (uint32_t i = 0; i < tier.size(); ++i) {
    const TierMask bit = TierMask{1} << i;
    if ((live ^ live_) & bit) {
      log_info("tier: balancer {}, {}, {}", i, to_string(tier.mac(i)),
               live & bit ? "lives: it gets the fragments that it owns"
                          : "is gone: the fragments that it owned go to those that are left");
    }
    if (disagreeing & ~disagreeing_ & bit) {
      log_warning("tier: balancer {}, {}, has other members or another hash seed than this one: it counts as gone", i,
                  to_string(tier.mac(i)));
    }
  }
  live_ = live;
  disagreeing_ = disagreeing;
}

std::string TierControl::text() const {
  if (!watch_) return "";
  std::vector<uint32_t> alive;
  for (uint32_t i = 0; i < watch_->tier().size(); ++i) {
    if (live_ >> i & 1) alive.push_back(i);
  }
  return fmt::format("balancer {} of {}; of the others live: {}", watch_->tier().own_index(), watch_->tier().size(),
                     alive.empty() ? "none" : fmt::format("{}", fmt::join(alive, ", ")));
}

}  // namespace xdplb
