// WorkerRig: everything that one worker owns, in the order in which it must go away: thread, ports, sockets, pool,
// memory. Made and destroyed by the control thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "umem/region.h"
#include "umem/xsk_socket.h"
#include "user/path/worker_thread.h"

namespace xdplb {

// One receive queue of an ingress device, and where it lies in xsks_map.
struct IngressQueue {
  std::string device;
  uint32_t ifindex = 0;
  uint32_t queue = 0;
  uint32_t slot = 0;
  ZeroCopy zero_copy = ZeroCopy::automatic;  // as is right for its device
  bool to_peers = false;                     // two-arm: fragments leave here for other balancers
};

struct WorkerRigPlan {
  std::vector<IngressQueue> ingress;
  std::string egress_device;
  uint32_t egress_ifindex = 0;
  uint32_t egress_queue = 0;
  bool one_arm = false;  // the first ingress port is the egress port
  RingSizes rings;
  ZeroCopy egress_zero_copy = ZeroCopy::automatic;
  uint32_t mtu_max = 1500;  // bytes; of all devices
  uint32_t batch = 64;
  int cpu = -1;
  WaitOptions wait;
  EgressRules rules;
};

class WorkerRig {
 public:
  // Memory, sockets and ports; nothing is armed and nothing runs yet.
  static Result<std::unique_ptr<WorkerRig>> build(const WorkerRigPlan& plan);
  ~WorkerRig();
  WorkerRig(const WorkerRig&) = delete;
  WorkerRig& operator=(const WorkerRig&) = delete;

  // Gives the worker live frames as a second way out. Before start().
  void set_live(std::unique_ptr<LiveTransmit> live) { live_ = std::move(live); }
  [[nodiscard]] LiveTransmit* live() const { return live_.get(); }  // null: the TX ring alone

  // Starts the thread. The queues are armed by the caller, in `maps`.
  Result<void> start(BpfMaps& maps, const SnapshotPublisher& snapshots, SteeringParts steering,
                     WorkerCounters& counters, WorkerEpoch& epoch, const std::atomic<TierMask>& live_peers,
                     WorkerObserver& observer);
  // Asks the thread to end; join() waits for it. True where every frame came back.
  void request_stop();
  bool join();

  [[nodiscard]] const WorkerRigPlan& plan() const { return plan_; }
  [[nodiscard]] std::string name() const;  // "eth2/0" or "eth2/0,1"
  [[nodiscard]] const XskSocket& ingress_socket(size_t i) const { return *sockets_[i]; }
  [[nodiscard]] const XskSocket& egress_socket() const { return *sockets_[egress_port()]; }
  [[nodiscard]] const FrameSum& frames() const { return frames_; }
  [[nodiscard]] PageKind page_kind() const { return region_.page_kind(); }
  // Sum over the sockets. A system call each: once a second at most.
  [[nodiscard]] XskStatistics kernel_statistics() const;

 private:
  WorkerRig(WorkerRigPlan plan, const FrameSum& frames, MappedRegion region);
  Result<void> open_port(const IngressQueue& at, const RingSizes& rings);
  [[nodiscard]] size_t egress_port() const { return plan_.one_arm ? 0 : plan_.ingress.size(); }

  WorkerRigPlan plan_;
  FrameSum frames_;
  MappedRegion region_;
  FrameArea area_;
  FramePool pool_;
  std::vector<std::unique_ptr<XskSocket>> sockets_;  // ingress first, egress last (one-arm: the first ingress)
  std::vector<std::unique_ptr<Port>> ports_;         // as sockets_
  std::unique_ptr<LiveTransmit> live_;
  std::unique_ptr<WorkerThread> thread_;
};

}  // namespace xdplb
