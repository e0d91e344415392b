#include "user/path/data_plane.h"

#include <algorithm>

#include "umem/queue_release.h"
#include "user/base/clock.h"
#include "user/base/log.h"
#include "user/ctl/netdev_features.h"
#include "user/path/cores.h"
#include "user/path/worker_plan.h"

namespace xdplb {
namespace {

constexpr uint64_t kQueueReleaseWaitNs = 2 * kNsPerSec;

}  // namespace

Result<std::unique_ptr<DataPlane>> DataPlane::prepare(const LbOptions& options, LoadedPrograms& programs) {
  std::unique_ptr<DataPlane> plane(new DataPlane(options));
  if (auto r = plane->look_at_devices(); !r) return r.error();
  if (auto r = plane->set_up_programs(programs); !r) return r.error();
  if (auto r = plane->look_again(); !r) return r.error();
  return plane;
}

Result<void> DataPlane::serve(const SnapshotPublisher& snapshots, WorkerSlots& slots) {
  has_tier_ = snapshots.current().tier.exists();
  if (has_tier_) check_own_mac(snapshots.current().tier);
  auto plans = plan_workers();
  if (!plans) return plans.error();
  for (const WorkerRigPlan& plan : *plans) {
    auto rig = WorkerRig::build(plan);
    if (!rig) return rig.error();
    rigs_.push_back(std::move(*rig));
  }
  live_way_.emplace(options_.tx, egress().link);
  auto live = one_arm() ? live_way_->open(program_->live(), program_->why_not_live(), rigs_)
                        : live_way_->open(egress_program_->live(), egress_program_->why_not_live(), rigs_);
  if (!live) return live;
  if (auto r = start_workers(snapshots, slots); !r) return r;
  std::vector<int> cores;
  for (const auto& rig : rigs_) cores.push_back(rig->plan().cpu);
  keep_off_cores(cores);
  return {};
}

Result<void> DataPlane::look_at_devices() {
  std::vector<std::string> names = options_.ingress;
  if (!one_arm()) names.push_back(options_.egress);
  for (const std::string& name : names) {
    auto link = query_link(name);
    if (!link) return link.error();
    if (!link->is_up()) {
      return fail_errno(ENETDOWN, "Interface [{}] is down; set it up with `ip link set dev {} up`", name, name);
    }
    for (const char* kind : {"bond", "bridge", "vlan", "team"}) {
      if (link->kind != kind) continue;
      return fail("Interface [{}] is a {}: AF_XDP works on the devices below it; give them as a list, --idev=DEV,DEV",
                  name, kind);
    }
    devices_.push_back({*link, {}, query_driver(*link)});
  }
  return {};
}

// With the programs attached: what they are, and the queues, which virtio_net adds to for them. Those are what the
// daemon compares with later.
Result<void> DataPlane::look_again() {
  for (PlaneDevice& device : devices_) {
    auto link = query_link(device.link.name);
    if (!link) return link.error();
    auto channels = query_channels(*link);
    if (!channels) return channels.error();
    device.link = *link;
    device.channels = *channels;
    if (const auto features = query_xdp_features(link->ifindex)) {
      device.has_zero_copy = (*features & kXdpFeatureZeroCopy) != 0;
    }
  }
  return {};
}

Result<void> DataPlane::set_up_programs(LoadedPrograms& programs) {
  std::unique_ptr<XdpProgram>& kept = programs.ingress;
  XdpProgramOptions program;
  const bool standard = options_.shm == "xdplb";
  program.mode = options_.mode;
  program.pin_dir = !options_.pin_dir.empty() ? options_.pin_dir
                    : standard                ? "/sys/fs/bpf/lb"
                                              : "/sys/fs/bpf/lb-" + options_.shm;
  program.record_path = "/run/xdplb/" + options_.shm + ".attached";
  program.map_prefix = standard ? "" : options_.shm.substr(0, 6);
  if (one_arm() && options_.tx != TxChoice::xsk) program.live_workers = workers_max();
  std::vector<LinkInfo> ingress;
  for (size_t i = 0; i < options_.ingress.size(); ++i) ingress.push_back(devices_[i].link);
  if (kept != nullptr) {
    auto follows = kept->follow(ingress);
    if (!follows) return follows.error();
    if (!*follows) kept.reset();
  }
  if (kept == nullptr) {
    auto attached = XdpProgram::set_up(ingress, program);
    if (!attached) return attached.error();
    kept = std::move(*attached);
  }
  program_ = kept.get();
  for (const Attachment& a : program_->attachments()) {
    if (a.mode != XdpMode::generic) continue;
    warnings_.push_back(fmt::format(
        "XDP on [{}] is generic: packets that the sender's TSO or our GRO joined are longer than a frame and "
        "are lost; `ethtool -K {} gro off lro off`, and tso and gso off on a virtual sender",
        a.device, a.device));
  }
  if (!one_arm()) egress_program_.emplace(egress().link, options_.tx, workers_max(), programs.live);
  return {};
}

Result<std::vector<IngressQueue>> DataPlane::ingress_queues() {
  std::vector<IngressQueue> queues;
  for (size_t d = 0; d < options_.ingress.size(); ++d) {
    const PlaneDevice& device = devices_[d];
    auto copy = choose_copy(device, options_.zero_copy);
    if (!copy) return copy.error();
    auto first_slot = program_->maps().slots_of_device(device.link.ifindex);
    if (!first_slot) return first_slot.error();
    for (const uint32_t queue : options_.queues) {
      if (queue < device.channels.rx) continue;
      return fail("Invalid --queue [{}]: [{}] has {} receive queue{}, numbered from 0", queue, device.link.name,
                  device.channels.rx, device.channels.rx == 1 ? "" : "s");
    }
    for (uint32_t queue = 0; queue < device.channels.rx; ++queue) {
      if (!options_.queues.empty() &&
          std::find(options_.queues.begin(), options_.queues.end(), queue) == options_.queues.end()) {
        continue;
      }
      if (queue >= kMaxQueues) {
        return fail("[{}] has {} receive queues; xdplb serves at most {}: `ethtool -L {} combined {}`",
                    device.link.name, device.channels.rx, kMaxQueues, device.link.name, kMaxQueues);
      }
      queues.push_back({device.link.name, device.link.ifindex, queue, *first_slot + queue, copy->zero_copy});
    }
  }
  return queues;
}

// Others know us by our address in the tier.
void DataPlane::check_own_mac(const Tier& tier) {
  for (size_t i = 0; i < options_.ingress.size(); ++i) {
    if (devices_[i].link.mac == tier.own_mac()) return;
  }
  warnings_.push_back(fmt::format("lb_tier: our own entry, {}, is the MAC of no ingress device: we count as gone",
                                  to_string(tier.own_mac())));
}

// Fragments leave through the port that they came in by, if the device can send there.
void DataPlane::open_way_to_peers(std::vector<IngressQueue>& queues) {
  uint32_t mute = 0;
  for (IngressQueue& in : queues) {
    const auto of_queue = [&in](const PlaneDevice& d) { return d.link.ifindex == in.ifindex; };
    in.to_peers = in.queue < std::find_if(devices_.begin(), devices_.end(), of_queue)->channels.tx;
    mute += in.to_peers ? 0 : 1;
  }
  if (mute == 0) return;
  warnings_.push_back(fmt::format(
      "{} of {} receive queues have no transmit queue: fragments that come there are not handed to other balancers",
      mute, queues.size()));
}

// At most one for each receive queue, whose number is known once the program is on the ingress devices; in one-arm
// for each transmit queue, whose number the program changes nothing about.
uint32_t DataPlane::workers_max() const {
  uint32_t queues = 0;
  for (size_t d = 0; d < options_.ingress.size(); ++d) {
    const auto channels = query_channels(devices_[d].link);
    if (channels) queues += std::min(one_arm() ? channels->tx : channels->rx, kMaxQueues);
  }
  return std::clamp(queues, 1u, uint32_t{XDPLB_LIVE_WORKERS});
}

bool DataPlane::follow_egress() {
  return live_way_ && live_way_->follow(rigs_);
}

uint64_t DataPlane::egress_dropped(std::span<const LinkInfo> now) const {
  for (const LinkInfo& link : now) {
    if (link.ifindex != egress().link.ifindex) continue;
    return link.tx_dropped - std::min(link.tx_dropped, egress().link.tx_dropped);
  }
  return 0;
}

bool DataPlane::completes_checksums() const {
  if (options_.checksum != ChecksumChoice::automatic) return options_.checksum == ChecksumChoice::complete;
  return std::any_of(devices_.begin(), devices_.begin() + static_cast<ptrdiff_t>(options_.ingress.size()),
                     [](const PlaneDevice& d) { return leaves_checksums_partial(d); });
}

Result<std::vector<WorkerRigPlan>> DataPlane::plan_workers() {
  auto queues = ingress_queues();
  if (!queues) return queues.error();
  if (has_tier_ && !one_arm()) open_way_to_peers(*queues);
  auto cpus = worker_cores(options_.cpus);
  if (!cpus) return cpus.error();
  auto copy = choose_copy(egress(), options_.zero_copy);
  if (!copy) return copy.error();
  std::vector<uint32_t> numbers;
  for (const IngressQueue& in : *queues) numbers.push_back(in.queue);
  auto shares = one_arm() ? share_one_arm(numbers, egress().channels.tx)
                          : share_two_arm(static_cast<uint32_t>(queues->size()), egress().channels.tx);
  if (!shares) return shares.error();
  RingSizes rings = default_ring_sizes(static_cast<uint32_t>(queues->size()));
  if (options_.rx_ring != 0) rings.rx = rings.fill = options_.rx_ring;
  if (options_.tx_ring != 0) rings.tx = rings.completion = options_.tx_ring;
  uint32_t mtu_max = 0;
  for (const PlaneDevice& device : devices_) mtu_max = std::max(mtu_max, device.link.mtu);
  std::vector<WorkerRigPlan> plans(shares->size());
  for (size_t w = 0; w < plans.size(); ++w) {
    WorkerRigPlan& plan = plans[w];
    const WorkerShare& share = (*shares)[w];
    for (const uint32_t i : share.ingress) plan.ingress.push_back((*queues)[i]);
    plan.egress_device = egress().link.name;
    plan.egress_ifindex = egress().link.ifindex;
    plan.egress_queue = share.egress_queue;
    plan.one_arm = share.shared;
    plan.rings = rings;
    plan.mtu_max = mtu_max;
    plan.egress_zero_copy = copy->zero_copy;
    plan.batch = options_.batch;
    plan.cpu = (*cpus)[w % cpus->size()];
    plan.wait = options_.wait;
    plan.rules = {egress().link.mac, egress().link.mtu, completes_checksums()};
  }
  return plans;
}

Result<void> DataPlane::start_workers(const SnapshotPublisher& snapshots, WorkerSlots& slots) {
  if (auto r = slots.grow_to(rigs_.size()); !r) return r;
  for (size_t w = 0; w < rigs_.size(); ++w) {
    WorkerRig& rig = *rigs_[w];
    auto started = rig.start(program_->maps(), snapshots, slots.steering(w, rigs_.size()), *slots.counters[w],
                             *slots.epochs[w], slots.live_peers, *slots.taps[w]);
    if (!started) return started;
    slots.holders[w] = {rig.name(), static_cast<uint32_t>(rig.plan().cpu)};
    const uint64_t stale_after_ns = options_.heartbeat_ms * kNsPerMs;
    for (size_t i = 0; i < rig.plan().ingress.size(); ++i) {
      const IngressQueue& in = rig.plan().ingress[i];
      auto armed = program_->maps().arm(in.slot, rig.ingress_socket(i).fd(), in.ifindex, in.queue, stale_after_ns,
                                        stale_after_ns / 4, monotonic_ns());
      if (!armed) return armed;
    }
  }
  return {};
}

std::vector<WorkerSign> DataPlane::worker_signs() const {
  std::vector<WorkerSign> signs;
  for (const auto& rig : rigs_) {
    WorkerSign sign{rig->name(), ~uint64_t{0}};
    for (const IngressQueue& in : rig->plan().ingress) {
      sign.beat_ns = std::min(sign.beat_ns, program_->maps().last_beat_ns(in.slot));
    }
    signs.push_back(std::move(sign));
  }
  return signs;
}

bool DataPlane::uses(uint32_t ifindex) const {
  return std::any_of(devices_.begin(), devices_.end(),
                     [ifindex](const PlaneDevice& d) { return d.link.ifindex == ifindex; });
}

uint32_t DataPlane::program_on(uint32_t ifindex) const {
  for (const Attachment& a : program_->attachments()) {
    if (a.ifindex == ifindex) return program_->prog_id();
  }
  return egress_program_ && egress().link.ifindex == ifindex ? egress_program_->prog_id() : 0;
}

ProgramStats DataPlane::program_stats() const {
  const std::vector<uint64_t> counts = program_->maps().counts();
  ProgramStats stats;
  if (counts.size() == XDPLB_COUNTS) {
    stats.unarmed = counts[XDPLB_COUNT_UNARMED];
    stats.no_socket = counts[XDPLB_COUNT_NO_SOCKET];
    stats.other_port = counts[XDPLB_COUNT_OTHER_PORT];
  }
  for (const auto& rig : rigs_) {
    for (const IngressQueue& in : rig->plan().ingress) stats.stale += program_->maps().read_slot(in.slot).fallback;
  }
  return stats;
}

bool DataPlane::stop() {
  for (const auto& rig : rigs_) {
    for (const IngressQueue& in : rig->plan().ingress) program_->maps().disarm(in.slot);
  }
  for (const auto& rig : rigs_) rig->request_stop();
  bool clean = true;
  for (const auto& rig : rigs_) clean &= rig->join();
  return clean;
}

DataPlane::~DataPlane() {
  stop();
  struct Queue {
    std::string device;
    uint32_t ifindex, queue;
  };
  std::vector<Queue> zero_copy;
  for (const auto& rig : rigs_) {
    const WorkerRigPlan& plan = rig->plan();
    for (size_t i = 0; i < plan.ingress.size(); ++i) {
      const IngressQueue& in = plan.ingress[i];
      if (rig->ingress_socket(i).zero_copy()) zero_copy.push_back({in.device, in.ifindex, in.queue});
    }
    if (!plan.one_arm && rig->egress_socket().zero_copy()) {
      zero_copy.push_back({plan.egress_device, plan.egress_ifindex, plan.egress_queue});
    }
  }
  rigs_.clear();
  // The kernel lets go of a queue some time after its socket is closed, and the program must outlast that.
  for (const Queue& q : zero_copy) {
    if (wait_for_queue_release(q.device, q.ifindex, q.queue, kQueueReleaseWaitNs)) continue;
    log_warning("[{}] queue {} is still held by the kernel", q.device, q.queue);
  }
}

// What the kernel says of our sockets on a device, and why it is not what one would hope for.
std::string DataPlane::zero_copy_of(const PlaneDevice& device) const {
  uint32_t sockets = 0, zero_copy = 0;
  const auto copy = choose_copy(device, options_.zero_copy);
  std::string why = copy ? copy->why_copy : "";
  const auto count = [&](uint32_t ifindex, const XskSocket& socket) {
    if (ifindex != device.link.ifindex) return;
    ++sockets;
    if (socket.zero_copy()) ++zero_copy;
    if (!socket.why_copy().empty()) why = socket.why_copy();
  };
  for (const auto& rig : rigs_) {
    const WorkerRigPlan& plan = rig->plan();
    for (size_t i = 0; i < plan.ingress.size(); ++i) count(plan.ingress[i].ifindex, rig->ingress_socket(i));
    if (!plan.one_arm) count(plan.egress_ifindex, rig->egress_socket());
  }
  return zero_copy_text(sockets, zero_copy, why);
}

std::vector<std::pair<std::string, std::string>> DataPlane::modes() const {
  std::vector<std::pair<std::string, std::string>> modes;
  modes.emplace_back("arms", one_arm() ? fmt::format("one: in and out through [{}]", options_.egress)
                                       : fmt::format("two: in through [{}], out through [{}]",
                                                     fmt::join(options_.ingress, ","), options_.egress));
  modes.emplace_back("program", program_->origin());
  for (const Attachment& a : program_->attachments()) {
    const std::string why = a.why_generic.empty() ? "" : fmt::format(" (native: {})", a.why_generic);
    modes.emplace_back(fmt::format("XDP on [{}]", a.device), std::string(to_string(a.mode)) + why);
  }
  if (egress_program_) modes.emplace_back("egress", egress_program_->note());
  for (const PlaneDevice& device : devices_) {
    modes.emplace_back(
        fmt::format("[{}] {}", device.link.name, device.driver.empty() ? "unknown driver" : device.driver),
        "zero-copy: " + zero_copy_of(device));
  }
  uint64_t memory = 0;
  for (const auto& rig : rigs_) {
    memory += rig->frames().len_bytes();
    const auto mode = [](const XskSocket& s) { return s.zero_copy() ? "zero-copy" : "copy"; };
    modes.emplace_back("worker " + rig->name(),
                       fmt::format("CPU {}, in: {}, out: [{}] queue {}: {}, {}", rig->plan().cpu,
                                   mode(rig->ingress_socket(0)), rig->plan().egress_device, rig->plan().egress_queue,
                                   mode(rig->egress_socket()), to_string(rig->plan().wait)));
  }
  modes.emplace_back("transmit", live_way_->text());
  modes.emplace_back("checksums", completes_checksums() ? "completed in software where a peer left them partial"
                                                        : "left as they come");
  modes.emplace_back("memory",
                     fmt::format("{} worker{} x {}: {:.1f} MiB, {}", rigs_.size(), rigs_.size() == 1 ? "" : "s",
                                 frame_sum_text(rigs_[0]->frames()), static_cast<double>(memory) / (1 << 20),
                                 page_kind_text(rigs_[0]->page_kind())));
  return modes;
}

}  // namespace xdplb
