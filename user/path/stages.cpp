#include "user/path/stages.h"

#include <algorithm>

#include "user/net/checksum.h"
#include "user/net/parse_common.h"
#include "user/net/rewrite.h"

namespace xdplb {

void receive(Port& ingress, const FrameArea& area, uint32_t max, Batch& batch, WorkerCounters& counters) {
  batch.count = ingress.receive(std::span(batch.frames, max));
  if (batch.count != 0) counters.rx.add(batch.count);
  for (uint32_t i = 0; i < batch.count; ++i) {
    batch.data[i] = reinterpret_cast<uint8_t*>(area.at(batch.frames[i].addr));
  }
  for (uint32_t i = 0; i < std::min(batch.count, kPrefetchAhead); ++i) __builtin_prefetch(batch.data[i], 1);
}

void parse(Batch& batch) {
  PacketColumns& packets = batch.packets;
  for (uint32_t i = 0; i < batch.count; ++i) {
    if (i + kPrefetchAhead < batch.count) __builtin_prefetch(batch.data[i + kPrefetchAhead], 1);
    const std::span<const uint8_t> frame{batch.data[i], batch.frames[i].len_bytes};
    PacketInfo& info = packets.info[i];
    const Reason reason = parse_common(frame, info) ? Reason::none : parse_any(frame, info);
    packets.reason[i] = reason;
    packets.fate[i] = reason == Reason::none ? Fate::forward : Fate::drop;
  }
}

// The first lines of the frames lie in the second-level cache by now: in the first they share one set, or two.
constexpr uint32_t kRewriteAhead = 4;  // packets

void rewrite(const Snapshot& snapshot, const EgressRules& egress, Batch& batch) {
  PacketColumns& packets = batch.packets;
  const MacAddr source = egress.mac;  // a copy: what is written to frames could lie in the other
  for (uint32_t i = 0; i < batch.count; ++i) {
    if (packets.fate[i] != Fate::forward) continue;
    const PacketInfo& info = packets.info[i];
    if (uint32_t{info.packet_len} - info.l3_offset > egress.mtu) {
      packets.drop(i, Reason::too_big);
      continue;
    }
    if (i + kRewriteAhead < batch.count) __builtin_prefetch(batch.data[i + kRewriteAhead], 1);
    rewrite_macs(batch.data[i], snapshot.targets[packets.target[i]].mac, source);
    if (egress.complete_checksums) complete_checksum({batch.data[i], batch.frames[i].len_bytes}, info);
  }
}

namespace {

void count_sent(const Batch& batch, uint32_t i, WorkerCounters& counters) {
  for (TrafficCounter* of :
       {&counters.targets[batch.packets.target[i]], &counters.services[batch.packets.service[i]]}) {
    of->packets.add(1);
    of->bytes.add(batch.frames[i].len_bytes);
  }
}

// Those of batch.out from `taken` on will not leave.
void drop_out(Batch& batch, uint32_t taken, Reason why) {
  for (uint32_t k = taken; k < batch.out.count; ++k) batch.packets.drop(batch.out.index[k], why);
}

// A live batch must not overtake what lies in the TX ring: only with that empty.
bool goes_live(const Egress& egress, std::span<const FrameRef> packets, uint64_t now_ns) {
  if (egress.live == nullptr || !egress.live->takes(packets)) return false;
  if (egress.port->tx_queued() != 0) egress.port->kick(now_ns);
  return egress.port->tx_queued() == 0;
}

// Stages batch.out, and gives the frames back. Returns how many packets.
uint32_t stage_live(LiveTransmit& live, const FrameArea& area, FramePool& pool, const Batch& batch,
                    WorkerCounters& counters) {
  if (!live.has_room()) send_staged(live, counters);
  live.stage(area, batch.out.packets());
  for (const FrameRef& packet : batch.out.packets()) pool.recycle(packet.addr);
  return batch.out.count;
}

}  // namespace

void gather(Batch& batch, Fate fate) {
  Outgoing& out = batch.out;
  out.count = 0;
  for (uint32_t i = 0; i < batch.count; ++i) {
    if (batch.packets.fate[i] != fate) continue;
    out.index[out.count] = i;
    out.frames[out.count++] = batch.frames[i];
  }
}

uint32_t queue_out(Port& port, Batch& batch) {
  const uint32_t taken = port.is_down() ? 0 : port.transmit(batch.out.packets());
  drop_out(batch, taken, port.is_down() ? Reason::tx_down : Reason::tx_full);
  return taken;
}

void send_staged(LiveTransmit& live, WorkerCounters& counters) {
  const uint32_t staged = live.staged();
  if (staged == 0) return;
  const uint32_t sent = live.send_staged();
  if (sent != staged) counters.drop(Reason::tx_error, staged - sent);
  counters.tx.add(sent);
  counters.tx_live.add(sent);
  counters.live_batches.add(1);
}

void transmit(const Egress& egress, const FrameArea& area, FramePool& pool, Batch& batch, WorkerCounters& counters,
              uint64_t now_ns) {
  PacketColumns& packets = batch.packets;
  gather(batch, Fate::forward);
  uint32_t taken = 0;
  if (goes_live(egress, batch.out.packets(), now_ns)) {
    taken = stage_live(*egress.live, area, pool, batch, counters);
  } else {
    // Nor must what goes by the ring overtake a batch that is staged.
    if (egress.live != nullptr && batch.out.count != 0) send_staged(*egress.live, counters);
    taken = queue_out(*egress.port, batch);
  }
  for (uint32_t k = 0; k < taken; ++k) count_sent(batch, batch.out.index[k], counters);
  for (uint32_t i = 0; i < batch.count; ++i) {
    if (packets.fate[i] != Fate::drop) continue;
    counters.drop(packets.reason[i]);
    if (packets.service[i] != kNoService) counters.service_drops[packets.service[i]].add(1);
    pool.recycle(batch.frames[i].addr);
  }
}

}  // namespace xdplb
