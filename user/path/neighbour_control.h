// NeighbourControl: the control thread's side of targets that are known by IP address. Makes the kernel look for them
// on the egress device, follows what it finds, and puts their MACs into the configuration that workers are given.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "user/base/log.h"
#include "user/ctl/event_loop.h"
#include "user/ctl/neighbours.h"
#include "user/ctl/netlink.h"
#include "user/lb/config.h"
#include "user/lb/neighbour_watch.h"

namespace xdplb {

// What became of a target, for the log.
struct TargetNews {
  LogLevel level;
  std::string text;
};

class NeighbourControl {
 public:
  explicit NeighbourControl(EventLoop& loop) : watches_(loop) {}
  NeighbourControl(const NeighbourControl&) = delete;
  NeighbourControl& operator=(const NeighbourControl&) = delete;

  // The device that packets leave by, and the MACs that are ours. Again whenever it was made anew.
  void set_device(const LinkInfo& egress, std::vector<MacAddr> own);

  // From now on the targets of this configuration. Error, and no change, where one that is new lies behind a gateway
  // or on another device, or is this host itself.
  Result<void> follow(const Config& config);

  // Asks for all of them and waits for the answers, at most so long: at the start, before packets come.
  void resolve_now(uint64_t patience_ns);

  // What has changed since the last call. Empty: nothing that packets notice.
  std::vector<TargetNews> take_changes(const Config& config);
  // Gives targets that are known by address the MACs found; those that are gone none, or the last one, as each has
  // it.
  void put_macs(Config& config) const;
  [[nodiscard]] const NeighbourWatch& watch() const { return watch_; }

 private:
  Result<void> open();
  void tick();
  void listen();
  void ask_all_again();
  void hear(const Neighbour& neighbour);
  [[nodiscard]] Result<void> check_on_link(const Target& target) const;

  LinkInfo egress_;
  NeighbourWatch watch_;
  std::optional<NeighbourSocket> socket_;  // while there is somebody to follow
  FdAndTimer watches_;
  std::string ask_error_;  // said once
};

}  // namespace xdplb
