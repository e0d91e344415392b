// DataPlane: the sockets and the workers of one daemon, set up together and torn down together. When a device goes or
// changes its queues, the daemon drops the whole plane and builds another: there is one way of setting up instead of
// two. The program on the ingress devices is the daemon's and stays between two planes, so that the VIPs' fallback
// action covers the time, however long the device is away.
//
// Control thread only. Order of set-up: program, memory and sockets, arm, threads. The destructor is the reverse:
// disarm, let the workers drain, close.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "user/ctl/netlink.h"
#include "user/ctl/stats.h"
#include "user/path/device.h"
#include "user/path/egress_program.h"
#include "user/path/live_way.h"
#include "user/path/options.h"
#include "user/path/readiness.h"
#include "user/path/worker_rig.h"
#include "user/path/worker_slots.h"
#include "user/path/xdp_program.h"

namespace xdplb {

// What is loaded into the kernel once and kept for every plane of a daemon.
struct LoadedPrograms {
  std::unique_ptr<XdpProgram> ingress;
  std::unique_ptr<LiveProgram> live;  // of the egress device, two-arm only
};

class DataPlane {
 public:
  // Looks at the devices and sees to the programs on them. `programs` are those of the plane before, or null: then
  // they are found or loaded. They must outlive the plane.
  static Result<std::unique_ptr<DataPlane>> prepare(const LbOptions& options, LoadedPrograms& programs);
  // Memory, sockets, threads: packets flow. Once.
  Result<void> serve(const SnapshotPublisher& snapshots, WorkerSlots& slots);
  ~DataPlane();
  DataPlane(const DataPlane&) = delete;
  DataPlane& operator=(const DataPlane&) = delete;

  // How it runs, in words: {"mode", "native"}, ... What was chosen, and why where it is not what one would hope for.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> modes() const;
  // What an operator should know before trusting it with traffic.
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

  [[nodiscard]] ProgramStats program_stats() const;
  [[nodiscard]] const std::vector<PlaneDevice>& devices() const { return devices_; }
  [[nodiscard]] const std::vector<std::unique_ptr<WorkerRig>>& rigs() const { return rigs_; }
  // When each worker last gave a sign of life, at the queue where that is longest ago.
  [[nodiscard]] std::vector<WorkerSign> worker_signs() const;
  [[nodiscard]] bool uses(uint32_t ifindex) const;
  // The id of the program that this plane needs on a device of its own; 0: none.
  [[nodiscard]] uint32_t program_on(uint32_t ifindex) const;
  // Made so that fragments can go to other balancers.
  [[nodiscard]] bool has_tier() const { return has_tier_; }

  // Packets that the egress device dropped since the plane was built, by what the kernel says now of those devices
  // that answered; 0 where it is not among them.
  [[nodiscard]] uint64_t egress_dropped(std::span<const LinkInfo> now) const;
  // Asks whether the egress device still takes live frames, and tells the workers. True where that is other than
  // before: modes() says it.
  bool follow_egress();

  // Disarms, lets the workers drain and joins them. False where the kernel kept frames back.
  bool stop();

 private:
  explicit DataPlane(const LbOptions& options) : options_(options) {}
  Result<void> look_at_devices();
  Result<void> set_up_programs(LoadedPrograms& programs);
  Result<void> look_again();
  [[nodiscard]] Result<std::vector<IngressQueue>> ingress_queues();
  void check_own_mac(const Tier& tier);
  void open_way_to_peers(std::vector<IngressQueue>& queues);
  [[nodiscard]] Result<std::vector<WorkerRigPlan>> plan_workers();
  Result<void> start_workers(const SnapshotPublisher& snapshots, WorkerSlots& slots);
  [[nodiscard]] bool one_arm() const {
    return options_.ingress.size() == 1 && options_.ingress[0] == options_.egress;
  }
  [[nodiscard]] const PlaneDevice& egress() const { return devices_.back(); }
  [[nodiscard]] bool completes_checksums() const;
  [[nodiscard]] std::string zero_copy_of(const PlaneDevice& device) const;
  [[nodiscard]] uint32_t workers_max() const;

  LbOptions options_;
  bool has_tier_ = false;
  std::vector<PlaneDevice> devices_;  // ingress in the order of the options, then egress
  XdpProgram* program_ = nullptr;
  std::optional<EgressProgram> egress_program_;  // two-arm only
  std::vector<std::unique_ptr<WorkerRig>> rigs_;
  std::optional<LiveWay> live_way_;
  std::vector<std::string> warnings_;
};

}  // namespace xdplb
