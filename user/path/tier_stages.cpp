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
  gather(batch, Fate::peer);
  if (batch.out.count == 0) return;
  for (uint32_t k = 0; k < batch.out.count; ++k) {
    const uint32_t i = batch.out.index[k];
    rewrite_macs(batch.data[i], snapshot.tier.mac(batch.packets.peer[i]), snapshot.tier.own_mac());
  }
  counters.to_peers.add(queue_out(ingress, batch));
}

}  // namespace xdplb
