// Daemon: `xdplb lb` from start to stop. The one place that constructs things and holds the threads together.
//
// The control thread runs an event loop: it follows the configuration in shared memory, publishes snapshots to the
// workers, watches the devices, gathers statistics, and rebuilds the data plane when a device came back or changed.
// Packets never wait for it.
#pragma once

#include <memory>
#include <string>

#include "user/ctl/control_socket.h"
#include "user/ctl/event_loop.h"
#include "user/ctl/netlink.h"
#include "user/ctl/shared_memory.h"
#include "user/ctl/stats_segment.h"
#include "user/path/capture_control.h"
#include "user/path/data_plane.h"
#include "user/path/flow_queries.h"
#include "user/path/metrics_pages.h"
#include "user/path/neighbour_control.h"
#include "user/path/options.h"
#include "user/path/quiescence.h"
#include "user/path/supervision.h"
#include "user/path/tier_control.h"
#include "user/path/where.h"

namespace xdplb {

class Daemon {
 public:
  // Everything that can fail before traffic flows.
  static Result<std::unique_ptr<Daemon>> create(const LbOptions& options);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // What was chosen and why, one item a line.
  [[nodiscard]] std::vector<std::string> start_report() const;

  [[nodiscard]] std::vector<std::string> warnings() const;

  // Serves until SIGINT or SIGTERM, and for the grace period after that. Error where the event loop broke.
  Result<void> run();

  static constexpr uint64_t kFollowEveryNs = 2'000'000;  // how soon a change of the configuration is seen
  static constexpr uint64_t kStatsEveryNs = 50'000'000;
  static constexpr uint64_t kInspectEveryNs =
      500'000'000;  // kernel counters, program still there, retry of a lost plane

 private:
  using Modes = std::vector<std::pair<std::string, std::string>>;

  Daemon(LbOptions options, ShmName name, ConfigStore store, UniqueFd lock)
      : options_(std::move(options)), name_(std::move(name)), store_(std::move(store)), lock_(std::move(lock)) {}

  Result<void> start();
  Result<void> watch();
  Result<void> open_control_socket();
  Result<void> supervise();
  [[nodiscard]] ReadinessFacts readiness_facts() const;

  void follow();  // what is to be done every few milliseconds

  // The configuration.
  void reload();
  void reload_config();
  void follow_config();
  void look_for_store();
  void adopt(const StoredConfig& stored);
  // What is stored, and what the command line says beside it.
  [[nodiscard]] Result<Config> with_options(Config config) const;
  Result<void> resolve_tier();
  // Makes the configuration, with what is known of its targets, that of kernel program and workers.
  Result<void> put_in_force(const Config& wanted, uint64_t generation);
  void refuse(uint64_t generation, const std::string& why);
  void report_adoption();

  // Targets that are known by IP address.
  void set_neighbour_device(const DataPlane& plane);
  Result<void> find_targets();
  void follow_targets();

  // The devices.
  void serve_tier();
  void on_link_events();
  void inspect();
  [[nodiscard]] std::string what_changed(const PlaneDevice& built, const Result<LinkInfo>& link) const;
  [[nodiscard]] std::string what_became_of_program(const LinkInfo& link) const;
  void lose_plane(const std::string& why);
  void try_build_plane();
  void log_changed_modes(const Modes& before) const;
  Result<void> rebuild_plane();
  void put_in_place(std::unique_ptr<DataPlane> plane);

  [[nodiscard]] WhereNow where_now();
  void log_totals() const;
  void write_stats();

  LbOptions options_;
  ShmName name_;
  ConfigStore store_;
  UniqueFd lock_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<LinkWatcher> links_;
  std::optional<StatsWriter> stats_;
  std::string stats_error_;  // said once, not twice a second
  Config wanted_;            // as stored, and as the command line says beside it
  Config config_;            // in force: that, and the MACs of targets that are known by address
  std::optional<LbTier> tier_option_;
  TargetHistory history_;
  Adoption adoption_;
  uint64_t seen_generation_ = 0;  // read, adopted or refused
  bool store_lost_ = false;       // said once
  std::unique_ptr<SnapshotPublisher> snapshots_;
  std::optional<WorkerSlots> slots_;
  LoadedPrograms programs_;           // outlives the plane: VIPs fall back while a device is away
  std::unique_ptr<DataPlane> plane_;  // null while a device is away
  Modes modes_;                       // of the plane, or of the last one while there is none
  std::string privileges_;            // those left, in words
  std::string plane_lost_;            // why there is none; empty: there is
  std::string plane_error_;           // said once, not on every retry
  uint64_t started_realtime_ns_ = 0;
  std::vector<XskStatistics> kernel_stats_;  // by worker, as of the last inspection
  std::vector<DeviceStats> device_stats_;    // likewise
  DaemonStats published_;                    // as written last
  uint64_t egress_dropped_ = 0;              // as of the last inspection
  uint64_t egress_dropped_before_ = 0;       // by planes before this one
  std::optional<TierControl> tier_;          // before the plane: it says that we leave
  std::optional<NeighbourControl> neighbours_;
  std::optional<FlowQueries> queries_;
  std::optional<CaptureControl> captures_;
  std::optional<Supervision> supervision_;
  std::unique_ptr<HttpServer> metrics_;
  Where where_{[this] { return where_now(); }};
  std::string control_error_;               // why there is no control socket
  std::unique_ptr<ControlServer> control_;  // last: what it asks must outlive it
};

}  // namespace xdplb
