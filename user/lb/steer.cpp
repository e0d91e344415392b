#include "user/lb/steer.h"

namespace xdplb {
namespace {

uint16_t service_of(const VipTable& vips, const PacketInfo& info) {
  switch (info.kind) {
    case PacketKind::icmp_echo:
    case PacketKind::later_fragment: return vips.match_icmp(info.key.dst);
    default: return vips.match(info.key.dst, info.key.protocol, info.key.dst_port);
  }
}

uint64_t hash_of(const Snapshot& snapshot, const SnapshotService& service, const PacketInfo& info) {
  const bool fragment = info.kind == PacketKind::first_fragment || info.kind == PacketKind::later_fragment;
  // The fragments of a packet have only their addresses in common.
  const HashFields fields =
      fragment && service.hash_fields == HashFields::five_tuple ? HashFields::addresses : service.hash_fields;
  return snapshot.steering_hash(info.key, fields);
}

}  // namespace

void match_services(const Snapshot& snapshot, PacketColumns& packets, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    if (packets.reason[i] != Reason::none) continue;
    packets.service[i] = service_of(snapshot.vips, packets.info[i]);
    if (packets.service[i] == kNoService) packets.reason[i] = Reason::no_service;
  }
}

void choose_targets(const Snapshot& snapshot, PacketColumns& packets, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    if (packets.reason[i] != Reason::none) continue;
    const SnapshotService& service = snapshot.services[packets.service[i]];
    packets.target[i] = service.choose(hash_of(snapshot, service, packets.info[i]));
    if (packets.target[i] == kNoTarget) packets.reason[i] = Reason::no_target;
  }
}

}  // namespace xdplb
