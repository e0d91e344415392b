#include "user/path/worker_rig.h"

#include <algorithm>

namespace xdplb {
namespace {

WorkerShape shape_of(const WorkerRigPlan& plan) {
  WorkerShape shape;
  shape.rx_ports = static_cast<uint32_t>(plan.ingress.size());
  shape.tx_ports = 1;
  shape.tx_only_ports = plan.one_arm ? 0 : 1;
  shape.mtu = plan.mtu_max;
  shape.zero_copy = plan.egress_zero_copy != ZeroCopy::off;
  for (const IngressQueue& in : plan.ingress) shape.zero_copy |= in.zero_copy != ZeroCopy::off;
  shape.peer_ports = static_cast<uint32_t>(
      std::count_if(plan.ingress.begin(), plan.ingress.end(), [](const IngressQueue& in) { return in.to_peers; }));
  shape.rings = plan.rings;
  shape.held_max = HeldLimits().frames_max;
  return shape;
}

}  // namespace

WorkerRig::WorkerRig(WorkerRigPlan plan, const FrameSum& frames, MappedRegion region)
    : plan_(std::move(plan)),
      frames_(frames),
      region_(std::move(region)),
      area_(region_.bytes().first(frames.len_bytes()), frames.frame_size),
      pool_(frames.total(), frames.frame_size) {}

WorkerRig::~WorkerRig() {
  join();
}

Result<std::unique_ptr<WorkerRig>> WorkerRig::build(const WorkerRigPlan& plan) {
  const FrameSum frames = worker_frames(shape_of(plan));
  auto region = MappedRegion::create(frames.len_bytes());
  if (!region) return region.error();
  std::unique_ptr<WorkerRig> rig(new WorkerRig(plan, frames, std::move(*region)));
  for (size_t i = 0; i < plan.ingress.size(); ++i) {
    RingSizes rings = plan.rings;
    if (!plan.one_arm) rings.tx = rings.completion = plan.ingress[i].to_peers ? kPeerTx : 0;
    if (plan.one_arm && i != 0) rings.tx = rings.completion = 0;
    if (auto r = rig->open_port(plan.ingress[i], rings); !r) return r.error();
  }
  if (!plan.one_arm) {
    const IngressQueue out{plan.egress_device, plan.egress_ifindex, plan.egress_queue, 0, plan.egress_zero_copy};
    RingSizes rings = plan.rings;
    rings.rx = 0;
    rings.fill = frames.tx_only_fill;
    if (auto r = rig->open_port(out, rings); !r) return r.error();
  }
  // Nobody has taken what the sum has for somebody else, who would miss it when the others have theirs.
  XDPLB_CHECK(rig->pool_.size() == frames.total() - frames.fill - frames.tx_only_fill);
  return rig;
}

Result<void> WorkerRig::open_port(const IngressQueue& at, const RingSizes& rings) {
  const PortId id{static_cast<uint8_t>(ports_.size())};
  XskOptions options;
  options.ifname = at.device;
  options.ifindex = at.ifindex;
  options.queue = at.queue;
  options.rings = rings;
  options.zero_copy = at.zero_copy;
  const std::vector<FrameAddr> prefill = pool_.take_for_fill(id, options.rings.fill);
  auto socket = XskSocket::open(area_, options, prefill);
  if (!socket) return socket.error();
  sockets_.push_back(std::move(*socket));
  ports_.push_back(std::make_unique<Port>(id, area_, sockets_.back()->port_rings(), *sockets_.back(), pool_));
  return {};
}

Result<void> WorkerRig::start(BpfMaps& maps, const SnapshotPublisher& snapshots, SteeringParts steering,
                              WorkerCounters& counters, WorkerEpoch& epoch, const std::atomic<TierMask>& live_peers,
                              WorkerObserver& observer) {
  WorkerParts parts;
  parts.egress = ports_[egress_port()].get();
  parts.live = live_.get();
  for (size_t i = 0; i < plan_.ingress.size(); ++i) {
    const IngressQueue& in = plan_.ingress[i];
    Port* own = in.to_peers ? ports_[i].get() : nullptr;
    parts.ingress.push_back(
        {ports_[i].get(), maps.heartbeat(in.slot), in.ifindex == plan_.egress_ifindex ? parts.egress : own});
  }
  parts.pool = &pool_;
  parts.area = area_;
  parts.rules = plan_.rules;
  parts.turn_max = plan_.batch;
  parts.steering = std::move(steering);
  parts.snapshots = &snapshots;
  parts.counters = &counters;
  parts.epoch = &epoch;
  parts.live_peers = &live_peers;
  parts.observer = &observer;
  auto thread =
      WorkerThread::start(std::make_unique<Worker>(std::move(parts)), "xdplb-" + name(), plan_.cpu, plan_.wait);
  if (!thread) return thread.error();
  thread_ = std::move(*thread);
  return {};
}

void WorkerRig::request_stop() {
  if (thread_ != nullptr) thread_->request_stop();
}

bool WorkerRig::join() {
  return thread_ == nullptr || thread_->join();
}

std::string WorkerRig::name() const {
  std::string name;
  std::string device;
  for (const IngressQueue& in : plan_.ingress) {
    if (in.device != device) {
      name += (name.empty() ? "" : "+") + in.device + "/" + std::to_string(in.queue);
      device = in.device;
    } else {
      name += "," + std::to_string(in.queue);
    }
  }
  return name;
}

XskStatistics WorkerRig::kernel_statistics() const {
  XskStatistics sum;
  for (const auto& socket : sockets_) {
    auto s = socket->statistics();
    if (!s) continue;
    sum.rx_dropped += s->rx_dropped;
    sum.rx_ring_full += s->rx_ring_full;
    sum.rx_fill_ring_empty += s->rx_fill_ring_empty;
    sum.rx_invalid_descs += s->rx_invalid_descs;
    sum.tx_invalid_descs += s->tx_invalid_descs;
  }
  return sum;
}

}  // namespace xdplb
