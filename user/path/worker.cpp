#include "user/path/worker.h"

#include <algorithm>

namespace xdplb {

Worker::Worker(WorkerParts parts) : parts_(std::move(parts)) {
  XDPLB_CHECK(parts_.batch_max >= 1 && parts_.batch_max <= kMaxBatch);
  parts_.counters->frames_total.set(parts_.pool->capacity());
}

bool Worker::turn(uint64_t now_ns) {
  parts_.egress->reap();
  bool received = false;
  for (WorkerIngress& ingress : parts_.ingress) {
    ingress.port->refill();
    forward(*ingress.port);
    received |= batch_.count != 0;
  }
  // Also where nothing was received: in copy mode nothing is sent but in this call, and a tail must not wait for the
  // next packet.
  if (parts_.egress->tx_queued() != 0) parts_.egress->kick(now_ns);
  publish_port_counters();
  beat(now_ns);
  return received;
}

void Worker::forward(Port& ingress) {
  receive(ingress, parts_.area, parts_.batch_max, batch_);
  if (batch_.count == 0) return;
  const Snapshot& snapshot = *parts_.snapshots->acquire(*parts_.epoch);
  parse(batch_);
  match_services(snapshot, batch_.packets, batch_.count);
  choose_targets(snapshot, batch_.packets, batch_.count);
  rewrite(snapshot, parts_.rules, batch_);
  transmit(*parts_.egress, *parts_.pool, batch_, *parts_.counters);
  parts_.counters->batches.add(1);
}

void Worker::publish_port_counters() {
  const PortCounters& port = parts_.egress->counters();
  // Both ways: a frame that was taken for transmit may turn out to be refused by the kernel (EBUSY).
  const uint64_t errors = port.tx_dropped + port.tx_invalid;
  if (port.tx_packets != seen_tx_) parts_.counters->tx.add(port.tx_packets - seen_tx_);
  if (errors != seen_tx_errors_) {
    parts_.counters->drops[static_cast<size_t>(Reason::tx_error)].add(errors - seen_tx_errors_);
  }
  seen_tx_ = port.tx_packets;
  seen_tx_errors_ = errors;
  parts_.counters->frames_free.set(parts_.pool->size());
}

void Worker::beat(uint64_t now_ns) {
  if (now_ns - last_beat_ns_ < kBeatEveryNs) return;
  last_beat_ns_ = now_ns;
  for (WorkerIngress& ingress : parts_.ingress) ingress.heartbeat.beat(now_ns);
}

uint64_t Worker::sleep_max_ns(uint64_t now_ns) {
  if (parts_.egress->tx_queued() != 0) {
    const uint64_t retry_at_ns = parts_.egress->retry_at_ns();
    return std::min(kSleepUnsentNs, retry_at_ns > now_ns ? retry_at_ns - now_ns : 0);
  }
  return parts_.egress->tx_outstanding() != 0 ? kSleepUncompletedNs : kSleepMaxNs;
}

bool Worker::drained(uint64_t now_ns) {
  Port& egress = *parts_.egress;
  egress.reap();
  if (egress.tx_queued() != 0) egress.kick(now_ns);
  publish_port_counters();
  return egress.tx_outstanding() == 0;
}

}  // namespace xdplb
