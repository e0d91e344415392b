#include "user/path/worker.h"

#include <algorithm>

namespace xdplb {

Worker::Worker(WorkerParts parts) : parts_(std::move(parts)), steering_(parts_.steering), held_(parts_.held) {
  XDPLB_CHECK(parts_.turn_max >= 1 && parts_.turn_max <= kMaxTurn);
  parts_.counters->frames_total.set(parts_.pool->capacity());
  senders_.push_back({parts_.egress});
  for (const WorkerIngress& ingress : parts_.ingress) {
    if (ingress.to_peers == ingress.port && ingress.port != parts_.egress) senders_.push_back({ingress.port});
  }
}

uint32_t Worker::turn(uint64_t now_ns) {
  for (const Sender& sender : senders_) sender.port->reap();
  // A zero-copy driver takes the buffers for what arrives on the egress queue from our fill ring too.
  parts_.egress->refill();
  uint32_t received = 0;
  has_more_ = false;
  for (const WorkerIngress& ingress : parts_.ingress) {
    const uint32_t packets = serve(ingress, now_ns);
    has_more_ |= packets == parts_.turn_max;
    received += packets;
  }
  if (!held_.empty()) release_fragments(now_ns);
  steering_.end_turn();
  if (parts_.live != nullptr) send_staged(*parts_.live, *parts_.counters);
  // Also where nothing was received: in copy mode nothing is sent but in this call, and a tail must not wait for the
  // next packet.
  kick(now_ns);
  publish_port_counters();
  beat(now_ns);
  sweep_flows(now_ns);
  return received;
}

uint32_t Worker::serve(const WorkerIngress& ingress, uint64_t now_ns) {
  uint32_t packets = 0;
  do {
    kick(now_ns);  // what is queued already, so that the TX ring has room
    ingress.port->refill();
    receive(*ingress.port, parts_.area, std::min(parts_.turn_max - packets, kMaxBatch), batch_, *parts_.counters);
    if (batch_.count == 0) break;
    forward(ingress.to_peers, now_ns);
    packets += batch_.count;
  } while (batch_.count == kMaxBatch && packets < parts_.turn_max);
  if (packets != 0) parts_.counters->batches.add(1);
  return packets;
}

void Worker::kick(uint64_t now_ns) {
  for (const Sender& sender : senders_) {
    if (sender.port->tx_queued() != 0) sender.port->kick(now_ns);
  }
}

void Worker::forward(Port* to_peers, uint64_t now_ns) {
  const Snapshot& snapshot = *parts_.snapshots->acquire(*parts_.epoch);
  parse(batch_);
  if (!snapshot.tier.exists()) to_peers = nullptr;
  if (to_peers != nullptr) choose_balancers(snapshot, live_peers(), batch_, *parts_.counters);
  steering_.steer(snapshot, batch_.packets, batch_.count, now_ns);
  send(snapshot, to_peers, now_ns);
}

void Worker::send(const Snapshot& snapshot, Port* to_peers, uint64_t now_ns) {
  WorkerObserver* const watching = observer();
  if (watching != nullptr) watching->on_decided(batch_, now_ns);
  rewrite(snapshot, parts_.rules, batch_);
  if (to_peers != nullptr) send_to_peers(snapshot, *to_peers, batch_, *parts_.counters);
  transmit({parts_.egress, parts_.live}, parts_.area, *parts_.pool, batch_, *parts_.counters, now_ns);
  if (watching != nullptr) watching->on_batch(batch_);
  hold_fragments(now_ns);
}

void Worker::drop_held_frame(HeldFrame held, Reason why) {
  const FrameRef frame{{held.frame}, held.len_bytes};
  if (WorkerObserver* const watching = observer(); watching != nullptr) {
    const auto bytes = parts_.area.bytes(frame);
    watching->on_held_drop(frame, {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, why);
  }
  parts_.pool->unhold(frame.addr);
  parts_.pool->recycle(frame.addr);
  parts_.counters->drop(why);
}

// What the batch has for later: fragments whose first one has not come.
void Worker::hold_fragments(uint64_t now_ns) {
  const auto drop = [this](Reason why) { return [this, why](HeldFrame held) { drop_held_frame(held, why); }; };
  for (uint32_t i = 0; i < batch_.count; ++i) {
    if (batch_.packets.fate[i] != Fate::hold) continue;
    const FrameRef& frame = batch_.frames[i];
    parts_.pool->hold(frame.addr);
    const HeldFrame held{frame.addr.offset, frame.len_bytes};
    if (!held_.hold(batch_.packets.hash[i], held, now_ns, drop(Reason::fragment_overflow))) {
      drop(Reason::fragment_overflow)(held);
    }
  }
  held_.expire(now_ns, drop(Reason::fragment_timeout));
  parts_.counters->held.set(held_.frames());
}

// Those whose first fragment has come by now, here or to another worker, go through the stages again.
void Worker::release_fragments(uint64_t now_ns) {
  batch_.count = 0;
  held_.for_each_waiting([&](uint64_t datagram) {
    if (batch_.count + parts_.held.datagram_frames_max > kMaxBatch) return;
    if (!steering_.knows_datagram(datagram, now_ns)) return;
    held_.take(datagram, [this](HeldFrame frame) {
      parts_.pool->unhold({frame.frame});
      batch_.data[batch_.count] = reinterpret_cast<uint8_t*>(parts_.area.at({frame.frame}));
      batch_.frames[batch_.count++] = {{frame.frame}, frame.len_bytes};
    });
  });
  const Snapshot& snapshot = *parts_.snapshots->acquire(*parts_.epoch);
  parse(batch_);
  steering_.steer_held(snapshot, batch_.packets, batch_.count, now_ns);
  // No peers: what was held is ours, whoever has come or gone since. Also where no first fragment came: it lets go of
  // those whose time is up.
  send(snapshot, nullptr, now_ns);
}

void Worker::sweep_flows(uint64_t now_ns) {
  const uint64_t buckets = std::min((now_ns - last_sweep_ns_) / kSweepBucketEveryNs, kSweepBucketsMax);
  if (buckets == 0) return;
  last_sweep_ns_ = now_ns;
  parts_.steering.flows->sweep(static_cast<uint32_t>(buckets), now_ns);
  if (parts_.steering.flush != nullptr) parts_.steering.flush->serve(*parts_.steering.flows, kFlushFlowsMax);
}

void Worker::drop_held() {
  held_.drain([this](HeldFrame held) { drop_held_frame(held, Reason::shutdown); });
  parts_.counters->held.set(0);
}

void Worker::publish_port_counters() {
  for (Sender& sender : senders_) {
    const PortCounters& port = sender.port->counters();
    // Both ways: a frame that was taken for transmit may turn out to be refused by the kernel (EBUSY).
    const uint64_t errors = port.tx_dropped + port.tx_invalid;
    if (port.tx_packets != sender.seen_tx) parts_.counters->tx.add(port.tx_packets - sender.seen_tx);
    if (errors != sender.seen_errors) parts_.counters->drop(Reason::tx_error, errors - sender.seen_errors);
    sender.seen_tx = port.tx_packets;
    sender.seen_errors = errors;
  }
  parts_.counters->frames_free.set(parts_.pool->size());
}

void Worker::beat(uint64_t now_ns) {
  if (now_ns - last_beat_ns_ < kBeatEveryNs) return;
  last_beat_ns_ = now_ns;
  for (WorkerIngress& ingress : parts_.ingress) ingress.heartbeat.beat(now_ns);
}

uint64_t Worker::sleep_max_ns(uint64_t now_ns) {
  uint64_t sleep_ns = held_.empty() ? kSleepMaxNs : kSleepHoldingNs;
  for (const Sender& sender : senders_) {
    if (sender.port->tx_outstanding() != 0) sleep_ns = std::min(sleep_ns, kSleepUncompletedNs);
    if (sender.port->tx_queued() == 0) continue;
    const uint64_t retry_at_ns = sender.port->retry_at_ns();
    sleep_ns = std::min({sleep_ns, kSleepUnsentNs, retry_at_ns > now_ns ? retry_at_ns - now_ns : 0});
  }
  const FlushBox* flush = parts_.steering.flush;
  if (flush != nullptr && flush->is_pending()) sleep_ns = std::min(sleep_ns, kSweepBucketEveryNs);
  if (flush != nullptr && flush->expects_more()) sleep_ns = std::min(sleep_ns, kSleepFlushingNs);
  return sleep_ns;
}

bool Worker::drained(uint64_t now_ns) {
  bool drained = true;
  for (const Sender& sender : senders_) {
    sender.port->reap();
    if (sender.port->tx_queued() != 0) sender.port->kick(now_ns);
    drained &= sender.port->tx_outstanding() == 0;
  }
  publish_port_counters();
  return drained;
}

void Worker::give_up() {
  for (const Sender& sender : senders_) parts_.counters->drop(Reason::shutdown, sender.port->give_up_queued());
  publish_port_counters();
}

}  // namespace xdplb
