#include "user/path/stages.h"

#include <algorithm>

#include "user/net/checksum.h"
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
    packets.reason[i] = parse_packet({batch.data[i], batch.frames[i].len_bytes}, packets.info[i]);
    packets.fate[i] = packets.reason[i] == Reason::none ? Fate::forward : Fate::drop;
  }
}

void rewrite(const Snapshot& snapshot, const EgressRules& egress, Batch& batch) {
  PacketColumns& packets = batch.packets;
  for (uint32_t i = 0; i < batch.count; ++i) {
    if (packets.fate[i] != Fate::forward) continue;
    const PacketInfo& info = packets.info[i];
    if (uint32_t{info.packet_len} - info.l3_offset > egress.mtu) {
      packets.drop(i, Reason::too_big);
      continue;
    }
    rewrite_macs(batch.data[i], snapshot.targets[packets.target[i]].mac, egress.mac);
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

// A live batch must not overtake what lies in the TX ring: only with that empty.
bool goes_live(const Egress& egress, std::span<const FrameRef> packets, uint64_t now_ns) {
  if (egress.live == nullptr || !egress.live->takes(packets)) return false;
  if (egress.port->tx_queued() != 0) egress.port->kick(now_ns);
  return egress.port->tx_queued() == 0;
}

uint32_t send_live(LiveTransmit& live, const FrameArea& area, FramePool& pool, std::span<const FrameRef> packets,
                   WorkerCounters& counters) {
  const uint32_t sent = live.send(area, packets);
  for (const FrameRef& packet : packets.first(sent)) pool.recycle(packet.addr);
  counters.tx.add(sent);
  counters.tx_live.add(sent);
  counters.live_batches.add(1);
  return sent;
}

}  // namespace

void transmit(const Egress& egress, const FrameArea& area, FramePool& pool, Batch& batch, WorkerCounters& counters,
              uint64_t now_ns) {
  PacketColumns& packets = batch.packets;
  FrameRef forwarded[kMaxBatch];
  uint32_t index[kMaxBatch];
  uint32_t count = 0;
  for (uint32_t i = 0; i < batch.count; ++i) {
    if (packets.fate[i] != Fate::forward) continue;
    index[count] = i;
    forwarded[count++] = batch.frames[i];
  }
  const std::span<const FrameRef> out(forwarded, count);
  uint32_t taken = 0;
  Reason refused = Reason::tx_full;
  if (goes_live(egress, out, now_ns)) {
    taken = send_live(*egress.live, area, pool, out, counters);
    refused = Reason::tx_error;
  } else if (egress.port->is_down()) {
    refused = Reason::tx_down;
  } else {
    taken = egress.port->transmit(out);
  }
  for (uint32_t k = 0; k < count; ++k) {
    if (k < taken) {
      count_sent(batch, index[k], counters);
    } else {
      packets.drop(index[k], refused);
    }
  }
  for (uint32_t i = 0; i < batch.count; ++i) {
    if (packets.fate[i] != Fate::drop) continue;
    counters.drop(packets.reason[i]);
    if (packets.service[i] != kNoService) counters.service_drops[packets.service[i]].add(1);
    pool.recycle(batch.frames[i].addr);
  }
}

}  // namespace xdplb
