#include "user/path/tier_stages.h"

#include <algorithm>

#include "user/net/rewrite.h"

namespace xdplb {
namespace {

bool is_fragment(PacketKind kind) {
  return kind == PacketKind::first_fragment || kind == PacketKind::later_fragment;
}

MacAddr source_of(const uint8_t* frame) {
  MacAddr mac;
  std::copy_n(frame + sizeof mac.bytes, mac.bytes.size(), mac.bytes.begin());
  return mac;
}

}  // namespace

void choose_balancers(const Snapshot& snapshot, TierMask live, Batch& batch, WorkerCounters& counters) {
  const Tier& tier = snapshot.tier;
  PacketColumns& packets = batch.packets;
  for (uint32_t i = 0; i < batch.count; ++i) {
    if (packets.fate[i] != Fate::forward || !is_fragment(packets.info[i].kind)) continue;
    if (tier.is_peer(source_of(batch.data[i]))) {
      counters.from_peers.add(1);
      continue;
    }
    const uint32_t owner = tier.owner(packets.info[i].key, live);
    if (owner == tier.own_index()) continue;
    packets.fate[i] = Fate::peer;
    packets.peer[i] = static_cast<uint8_t>(owner);
  }
}

void send_to_peers(const Snapshot& snapshot, Port& ingress, Batch& batch, WorkerCounters& counters) {
  PacketColumns& packets = batch.packets;
  FrameRef handed[kMaxBatch];
  uint32_t index[kMaxBatch];
  uint32_t count = 0;
  for (uint32_t i = 0; i < batch.count; ++i) {
    if (packets.fate[i] != Fate::peer) continue;
    rewrite_macs(batch.data[i], snapshot.tier.mac(packets.peer[i]), snapshot.tier.own_mac());
    index[count] = i;
    handed[count++] = batch.frames[i];
  }
  if (count == 0) return;
  const uint32_t taken = ingress.is_down() ? 0 : ingress.transmit(std::span(handed, count));
  counters.to_peers.add(taken);
  const Reason refused = ingress.is_down() ? Reason::tx_down : Reason::tx_full;
  for (uint32_t k = taken; k < count; ++k) packets.drop(index[k], refused);
}

}  // namespace xdplb
