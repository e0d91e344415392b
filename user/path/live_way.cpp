#include "user/path/live_way.h"

#include <algorithm>

#include "user/ctl/netdev_features.h"

namespace xdplb {

Result<void> LiveWay::open(LiveProgram* live, const std::string& why_not, const WorkerRigs& rigs) {
  obstacle_ = lasting_obstacle(live, why_not, rigs);
  open_ = obstacle_.empty();
  // One that only the device is in the way of may open later.
  if (open_) obstacle_ = obstacle_at_device();
  if (!obstacle_.empty() && choice_ == TxChoice::live) {
    return fail("--tx live is not possible: {}; --tx auto takes the TX ring then", obstacle_);
  }
  if (!open_) return {};
  for (size_t w = 0; w < std::min<size_t>(rigs.size(), live->workers()); ++w) {
    rigs[w]->set_live(live->transmit(static_cast<uint32_t>(w), egress_, choice_));
    rigs[w]->live()->set_usable(obstacle_.empty());
  }
  return {};
}

// Why no batch of this plane will leave as live frames; empty where the device alone decides.
std::string LiveWay::lasting_obstacle(const LiveProgram* live, const std::string& why_not,
                                      const WorkerRigs& rigs) const {
  if (choice_ == TxChoice::xsk) return "--tx xsk";
  if (live == nullptr) return why_not;
  const bool zero_copy = std::any_of(rigs.begin(), rigs.end(), [](const std::unique_ptr<WorkerRig>& rig) {
    return rig->egress_socket().zero_copy();
  });
  return zero_copy && choice_ == TxChoice::automatic ? "zero copy is cheaper" : "";
}

std::string LiveWay::obstacle_at_device() const {
  const auto features = query_xdp_features(egress_.ifindex);
  if (!features) return choice_ == TxChoice::live ? "" : features.error().message;
  if ((*features & kXdpFeatureTransmit) != 0) return "";
  return fmt::format("[{}] takes no redirected frames now{}", egress_.name,
                     egress_.kind == "veth" ? ": its peer has neither an XDP program nor GRO" : "");
}

bool LiveWay::follow(const WorkerRigs& rigs) {
  if (!open_) return false;
  std::string now = obstacle_at_device();
  if (now == obstacle_) return false;
  obstacle_ = std::move(now);
  for (const auto& rig : rigs) {
    if (rig->live() != nullptr) rig->live()->set_usable(obstacle_.empty());
  }
  return true;
}

std::string LiveWay::text() const {
  if (!obstacle_.empty()) return fmt::format("TX ring ({})", obstacle_);
  if (choice_ == TxChoice::live) return "live frames";
  return fmt::format("live frames for batches of {} and more, the TX ring for fewer", kLiveFromPackets);
}

}  // namespace xdplb
