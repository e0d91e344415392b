// TierControl: the control thread's side of a tier. Says hello to the other balancers, listens to theirs, and tells
// the workers who lives (WorkerSlots::live_peers).
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "user/ctl/event_loop.h"
#include "user/ctl/tier_socket.h"
#include "user/lb/tier_watch.h"

namespace xdplb {

class TierControl {
 public:
  // Both outlive it.
  TierControl(EventLoop& loop, std::atomic<TierMask>& live_peers) : live_peers_(live_peers), watches_(loop) {}
  ~TierControl();
  TierControl(const TierControl&) = delete;
  TierControl& operator=(const TierControl&) = delete;

  // Another tier, or none. Nobody of it lives until heard.
  Result<void> set(const Tier& tier);

  // The devices through which we serve; none: we do not, and say so. Their order matters not.
  void serve(std::vector<uint32_t> ifindexes);

  // "0 of 3; 1 and 2 live", for the start report and the statistics; empty without a tier.
  [[nodiscard]] std::string text() const;

 private:
  Result<void> open();
  void tick();
  void say(bool leaves);
  void listen();
  void publish();

  std::atomic<TierMask>& live_peers_;
  std::optional<TierWatch> watch_;
  std::optional<TierSocket> socket_;
  FdAndTimer watches_;
  std::vector<uint32_t> ifindexes_;
  TierMask live_ = 0;
  TierMask disagreeing_ = 0;  // told of
};

}  // namespace xdplb
