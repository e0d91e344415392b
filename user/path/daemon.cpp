#include "user/path/daemon.h"

#include <unistd.h>
#include <csignal>

#include <algorithm>

#include "user/base/clock.h"
#include "user/base/log.h"
#include "user/base/random.h"
#include "user/ctl/config_file.h"
#include "user/path/gather_stats.h"
#include "user/path/privileges.h"
#include "user/path/vip_rules.h"

namespace xdplb {
namespace {

// What the devices lost, as the kernel says.
std::vector<DeviceStats> device_stats(std::span<const LinkInfo> links) {
  std::vector<DeviceStats> all;
  all.reserve(links.size());
  for (const LinkInfo& link : links) {
    all.push_back({link.name, link.rx_dropped, link.rx_missed, link.rx_errors, link.tx_dropped});
  }
  return all;
}

}  // namespace

Result<std::unique_ptr<Daemon>> Daemon::create(const LbOptions& options) {
  auto name = ShmName::parse(options.shm);
  if (!name) return name.error();
  std::optional<Config> file;
  if (!options.config.empty()) {
    auto read = read_config_file(options.config);
    if (!read) return read.error();
    if (auto r = check_config_on_host(*read); !r) return fail("{}: {}", options.config, r.error().message);
    file = std::move(*read);
  }
  auto store = file ? open_or_create_store(*name, *file) : ConfigStore::open(*name, ConfigStore::Access::write);
  if (!store) return store.error();
  auto lock = store->acquire_daemon_lock();
  if (!lock) return lock.error();
  // An older daemon may have left the file; there is none that reads it now.
  if (auto r = store->upgrade_layout(); !r) return r.error();
  if (file) {
    if (auto r = publish_config(*store, *file); !r) return r.error();
  }
  std::unique_ptr<Daemon> daemon(new Daemon(options, std::move(*name), std::move(*store), std::move(*lock)));
  if (auto r = daemon->start(); !r) return r.error();
  return daemon;
}

Daemon::~Daemon() {
  tier_.reset();
  if (plane_ != nullptr && !plane_->stop()) {
    log_warning("the kernel kept frames of ours back: packets sent last may still be queued on [{}]",
                options_.egress);
  }
  if (!privileges_.empty()) log_totals();  // else it never served
}

// The sum that holds at any quiescent point is the last thing said: the statistics end with the daemon.
void Daemon::log_totals() const {
  uint64_t rx = 0, tx = 0, drops = 0, held = 0;
  for (const auto& c : slots_->counters) {
    rx += c->rx.get();
    tx += c->tx.get();
    held += c->held.get();
    for (const Counter& drop : c->drops) drops += drop.get();
  }
  log_line(LogLevel::info, fmt::format("stopped: {} received = {} sent + {} dropped + {} held", rx, tx, drops, held),
           {{"received", rx}, {"sent", tx}, {"dropped", drops}, {"held", held}});
}

Result<void> Daemon::start() {
  started_realtime_ns_ = realtime_ns();
  auto stored = store_.read();
  if (!stored) return stored.error();
  auto loop = EventLoop::create(options_.event_loop);
  if (!loop) return loop.error();
  loop_ = std::move(*loop);
  // From here on a signal is an event: one that comes during set-up ends the daemon cleanly, after set-up.
  if (auto r = watch(); !r) return r;
  if (auto r = open_control_socket(); !r) return r;
  auto stats = StatsWriter::create(name_);
  if (!stats) return stats.error();
  stats_.emplace(std::move(*stats));
  if (auto r = resolve_tier(); !r) return r;
  auto config = with_options(stored->config);
  if (!config) return config.error();
  wanted_ = config_ = std::move(*config);
  seen_generation_ = stored->generation;
  snapshots_ =
      std::make_unique<SnapshotPublisher>(compile_snapshot(config_, stored->generation, nullptr, options_.flows));
  auto flows = FlowStore::open(name_, options_.flows, config_, monotonic_ns());
  if (!flows) return flows.error();
  auto secret = random_secret();
  if (!secret) return secret.error();
  slots_.emplace(std::move(*flows), *secret);
  tier_.emplace(*loop_, slots_->live_peers);
  queries_.emplace(*slots_, config_);
  captures_.emplace(*slots_, config_, options_);
  if (control_ != nullptr) {
    serve_flow_verbs(*control_, *queries_);
    serve_where(*control_, where_);
    serve_capture_verbs(*control_, *captures_);
  }
  if (auto r = supervise(); !r) return r;
  auto plane = DataPlane::prepare(options_, programs_);
  if (!plane) return plane.error();
  neighbours_.emplace(*loop_);
  set_neighbour_device(**plane);
  if (auto r = find_targets(); !r) return r;
  if (auto r = programs_.ingress->maps().set_vips(kernel_vips(config_)); !r) return r;
  // Here, because a thread made before would keep what it was made with, and because what is left must do for every
  // plane after this one, too.
  auto privileges = drop_privileges(options_.wait.fifo_priority != 0);
  if (!privileges) return privileges.error();
  if (auto r = (*plane)->serve(*snapshots_, *slots_); !r) return r;
  privileges_ = std::move(*privileges);
  if (auto r = tier_->set(snapshots_->current().tier); !r) return r;
  put_in_place(std::move(*plane));
  if (auto r = slots_->flows->keep(); !r) return r;
  report_adoption();
  write_stats();
  return {};
}

Result<void> Daemon::watch() {
  auto links = LinkWatcher::create();
  if (!links) return links.error();
  links_ = std::move(*links);
  auto signals = loop_->on_signals({SIGINT, SIGTERM, SIGHUP}, [this](int signal) {
    if (signal == SIGHUP) {
      reload();
      return;
    }
    supervision_->stop(signal == SIGINT ? "SIGINT" : "SIGTERM");
  });
  if (!signals) return signals.error();
  if (auto r = loop_->watch_fd(links_->fd(), [this] { on_link_events(); }); !r) return r.error();
  if (auto r = loop_->every(kFollowEveryNs, [this] { follow(); }); !r) return r.error();
  if (auto r = loop_->every(kStatsEveryNs, [this] { write_stats(); }); !r) return r.error();
  if (auto r = loop_->every(kInspectEveryNs, [this] { inspect(); }); !r) return r.error();
  if (auto r = loop_->every(kInspectEveryNs, [this] { look_for_store(); }); !r) return r.error();
  if (auto r = loop_->every(kInspectEveryNs, [this] { supervision_->watch(); }); !r) return r.error();
  return {};
}

// Packets do not need it: where it cannot be had, the commands that ask the daemon do without. One that another
// daemon answers on is different: then two would share everything that is named after the shared memory.
Result<void> Daemon::open_control_socket() {
  auto control = ControlServer::create(*loop_, control_socket_path(name_.text()));
  if (control) {
    control_ = std::move(*control);
    return {};
  }
  if (control.error().sys_errno == EADDRINUSE) {
    return fail("{}: stop it, or give this one a name of its own with --shm", control.error().message);
  }
  control_error_ = control.error().message;
  return {};
}

Result<void> Daemon::run() {
  supervision_->began();
  return loop_->run();
}

std::vector<std::string> Daemon::warnings() const {
  std::vector<std::string> warnings = plane_->warnings();
  if (!control_error_.empty()) {
    warnings.push_back(fmt::format("{}: no control socket, `xdplb flows` cannot ask this daemon", control_error_));
  }
  return warnings;
}

std::vector<std::string> Daemon::start_report() const {
  std::vector<std::string> lines;
  for (const auto& [what, how] : modes_) lines.push_back(fmt::format("{}: {}", what, how));
  if (!options_.config.empty()) {
    lines.push_back(fmt::format("config: {}, generation {}", options_.config, snapshots_->current().generation));
  }
  const std::string reason = loop_->fallback_reason().empty() ? "" : " (" + loop_->fallback_reason() + ")";
  lines.push_back(fmt::format("control: {}{}", loop_->name(), reason));
  lines.push_back(fmt::format("flows: {} per worker, {:.1f} MiB, on {} pages; {}", options_.flows,
                              static_cast<double>(slots_->flows->len_bytes()) / (1 << 20),
                              slots_->flows->are_on_huge_pages() ? "huge" : "small", slots_->flows->report()));
  lines.push_back(options_.heartbeat_ms == 0
                      ? "heartbeat: off"
                      : fmt::format("heartbeat: a queue whose worker hangs falls back after {} ms",
                                    options_.heartbeat_ms + options_.heartbeat_ms / 4));
  if (const std::string tier = tier_->text(); !tier.empty()) lines.push_back("tier: " + tier);
  if (metrics_ != nullptr) {
    const Endpoint at{options_.metrics->addr, metrics_->port()};
    lines.push_back(fmt::format("metrics: http://{}/metrics", to_string(at)));
  }
  lines.push_back(fmt::format("privileges: {}", privileges_));
  return lines;
}

void Daemon::follow() {
  follow_config();
  follow_targets();
  captures_->advance(monotonic_ns());
  queries_->advance(plane_ == nullptr ? 0 : plane_->rigs().size(), monotonic_ns());
}

// --- devices ---

void Daemon::on_link_events() {
  auto events = links_->read_events();
  if (!events) {
    log_warning("{}", events.error().message);
    return;
  }
  bool look = false;
  for (const LinkEvent& event : *events) {
    look |= event.kind == LinkEvent::Kind::overrun || plane_ == nullptr || plane_->uses(event.link.ifindex);
  }
  if (look) inspect();
}

// Are the devices still what the plane was built for? Asked on every link event and twice a second, since some
// changes (queues, a program attached through a bpf_link) raise no event.
void Daemon::inspect() {
  if (plane_ == nullptr) {
    try_build_plane();
    return;
  }
  std::vector<LinkInfo> links;  // those that answer
  for (const PlaneDevice& built : plane_->devices()) {
    const auto link = query_link(built.link.name);
    const std::string why = what_changed(built, link);
    if (!why.empty()) {
      lose_plane(why);  // and with it the list that we go through
      return;
    }
    if (link) links.push_back(*link);
  }
  egress_dropped_ = egress_dropped_before_ + plane_->egress_dropped(links);
  device_stats_ = device_stats(links);
  if (plane_->follow_egress()) {
    const Modes before = modes_;
    modes_ = plane_->modes();
    log_changed_modes(before);
  }
  kernel_stats_.clear();
  for (const auto& rig : plane_->rigs()) kernel_stats_.push_back(rig->kernel_statistics());
}

// Empty where it is as it was.
std::string Daemon::what_changed(const PlaneDevice& built, const Result<LinkInfo>& link) const {
  if (!link && link.error().sys_errno != ENODEV) return "";  // no answer is not an answer
  if (!link) return fmt::format("[{}] is gone", built.link.name);
  if (link->ifindex != built.link.ifindex) return fmt::format("[{}] was deleted and made anew", link->name);
  if (!link->is_up()) return fmt::format("[{}] is down", link->name);
  const auto channels = query_channels(*link);
  if (channels && !(*channels == built.channels)) {
    return fmt::format("[{}] has {} receive and {} transmit queues now", link->name, channels->rx, channels->tx);
  }
  if (link->mtu != built.link.mtu) return fmt::format("[{}] has MTU {} now", link->name, link->mtu);
  if (link->mac != built.link.mac) return fmt::format("[{}] has MAC {} now", link->name, to_string(link->mac));
  return what_became_of_program(*link);
}

std::string Daemon::what_became_of_program(const LinkInfo& link) const {
  const uint32_t ours = plane_->program_on(link.ifindex);
  if (ours == 0 || ours == link.xdp_prog_id()) return "";
  if (link.xdp_prog_id() == 0) return fmt::format("the program on [{}] was detached", link.name);
  return fmt::format("the program on [{}] was replaced by another, id {}", link.name, link.xdp_prog_id());
}

void Daemon::lose_plane(const std::string& why) {
  log_warning("{}: taking the data plane down, VIPs fall back; it comes back by itself", why);
  plane_lost_ = why;
  plane_.reset();
  serve_tier();
  egress_dropped_before_ = egress_dropped_;
  kernel_stats_.clear();
  plane_error_.clear();
  try_build_plane();
}

void Daemon::try_build_plane() {
  const Modes before = modes_;
  if (auto r = rebuild_plane(); r) {
    log_info("the data plane is up again");
    log_changed_modes(before);
  } else if (r.error().message != plane_error_) {
    plane_error_ = r.error().message;
    log_warning("waiting: {}", plane_error_);
  }
}

void Daemon::log_changed_modes(const Modes& before) const {
  for (const auto& mode : modes_) {
    if (std::find(before.begin(), before.end(), mode) != before.end()) continue;
    log_line(LogLevel::info, fmt::format("{}: {}", mode.first, mode.second), {{"what", mode.first}});
  }
}

Result<void> Daemon::rebuild_plane() {
  auto plane = DataPlane::prepare(options_, programs_);
  if (!plane) return plane.error();
  if (auto r = programs_.ingress->maps().set_vips(kernel_vips(config_)); !r) return r;
  if (auto r = (*plane)->serve(*snapshots_, *slots_); !r) return r;
  put_in_place(std::move(*plane));
  return {};
}

void Daemon::put_in_place(std::unique_ptr<DataPlane> plane) {
  plane_ = std::move(plane);
  modes_ = plane_->modes();
  set_neighbour_device(*plane_);
  std::vector<LinkInfo> links;
  for (const PlaneDevice& device : plane_->devices()) links.push_back(device.link);
  device_stats_ = device_stats(links);
  slots_->flows->name_services(config_);  // now that there are tables, perhaps more than before
  serve_tier();
}

// Other balancers may send us fragments while we serve, and no longer.
void Daemon::serve_tier() {
  std::vector<uint32_t> ifindexes;
  for (size_t i = 0; plane_ != nullptr && i < options_.ingress.size(); ++i) {
    ifindexes.push_back(plane_->devices()[i].link.ifindex);
  }
  tier_->serve(std::move(ifindexes));
}

// --- questions ---

WhereNow Daemon::where_now() {
  WhereNow now;
  now.config = &config_;
  now.snapshot = &snapshots_->current();
  now.history = &history_;
  now.slots = &*slots_;
  if (plane_ != nullptr && !plane_->rigs().empty()) {
    now.workers = plane_->rigs().size();
    now.rules = plane_->rigs().front()->plan().rules;
  }
  now.rules.complete_checksums = false;  // no concern of where it goes
  now.is_operator_vip = [this](const IpAddr& addr) {
    if (programs_.ingress == nullptr) return false;
    const auto vips = programs_.ingress->maps().operator_vips();
    return vips && std::find(vips->begin(), vips->end(), addr) != vips->end();
  };
  return now;
}

// --- statistics ---

void Daemon::write_stats() {
  DaemonStats stats = gather_stats({config_, *slots_, plane_.get(), kernel_stats_, options_.flows,
                                    neighbours_->watch(), snapshots_->current(), device_stats_});
  stats.pid = static_cast<uint32_t>(getpid());
  stats.started_realtime_ns = started_realtime_ns_;
  stats.generation = adoption_.adopted_generation;
  stats.egress_dropped = egress_dropped_;
  if (plane_ != nullptr) {
    stats.modes = modes_;
    if (const std::string tier = tier_->text(); !tier.empty()) stats.modes.emplace_back("tier", tier);
  }
  const auto written = stats_->write(stats);
  if (!written && written.error().message != stats_error_) log_warning("{}", written.error().message);
  stats_error_ = written ? "" : written.error().message;
  published_ = std::move(stats);
}

}  // namespace xdplb
