// LiveWay: whether the workers of a plane send live frames beside their TX rings, and why not where they do not. It
// hands each worker its part of the program, and follows the device: what is on its other end may change while
// packets flow. Control thread only; the workers see their LiveTransmit.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "user/path/live_program.h"
#include "user/path/worker_rig.h"

namespace xdplb {

using WorkerRigs = std::vector<std::unique_ptr<WorkerRig>>;

class LiveWay {
 public:
  LiveWay(TxChoice choice, LinkInfo egress) : choice_(choice), egress_(std::move(egress)) {}

  // Once the sockets are there and before the workers run. `live`: the program on the egress device, or null for the
  // reason `why_not`. Error where live frames alone were asked for and cannot be.
  Result<void> open(LiveProgram* live, const std::string& why_not, const WorkerRigs& rigs);

  // Asks whether the device still takes live frames, and tells the workers. True where that is other than before.
  bool follow(const WorkerRigs& rigs);

  // How packets leave, in words.
  [[nodiscard]] std::string text() const;

 private:
  [[nodiscard]] std::string lasting_obstacle(const LiveProgram* live, const std::string& why_not,
                                             const WorkerRigs& rigs) const;
  [[nodiscard]] std::string obstacle_at_device() const;

  TxChoice choice_;
  LinkInfo egress_;
  bool open_ = false;     // the workers have it, whatever the device says now
  std::string obstacle_;  // why live frames are not in use; empty: they are
};

}  // namespace xdplb
