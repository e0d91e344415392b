#include "user/lb/steer.h"

#include <netinet/in.h>

namespace xdplb {
namespace {

uint16_t service_of(const VipTable& vips, const PacketInfo& info) {
  const bool icmp = info.key.protocol == IPPROTO_ICMP || info.key.protocol == IPPROTO_ICMPV6;
  // A fragmented echo must go where a whole one goes. A later fragment follows the first in the end; that some
  // service has its VIP is all that is asked here.
  if (icmp || info.kind == PacketKind::later_fragment) return vips.match_icmp(info.key.dst);
  return vips.match(info.key.dst, info.key.protocol, info.key.dst_port);
}

// Whether the packet is looked up as a flow, and may become one.
bool is_flow(PacketKind kind) {
  return kind == PacketKind::transport || kind == PacketKind::other || kind == PacketKind::first_fragment;
}

bool keeps_flows(const Snapshot& snapshot, FlowTarget target) {
  return target.id < snapshot.targets.size() && snapshot.targets[target.id].keeps_flows(target.epoch);
}

// By the service's table; no_target where it has none.
void choose(const Snapshot& snapshot, PacketColumns& packets, uint32_t i) {
  const SnapshotService& service = snapshot.services[packets.service[i]];
  packets.target[i] = service.choose(snapshot.steering_hash(packets.info[i].key, service.hash_fields));
  if (packets.target[i] == kNoTarget) packets.drop(i, Reason::no_target);
}

}  // namespace

Steering::Steering(const SteeringParts& parts) : parts_(parts), fragments_(parts.fragments, parts.fragment_secret) {}

void Steering::steer(const Snapshot& snapshot, PacketColumns& packets, uint32_t count, uint64_t now_ns) {
  look_up(snapshot, packets, count);
  find(packets, count, now_ns);
  decide(snapshot, packets, count, now_ns);
}

// One loop for both, because buckets come from memory at a pace of their own: matching the next packet fills the
// time.
void Steering::look_up(const Snapshot& snapshot, PacketColumns& packets, uint32_t count) const {
  for (uint32_t i = 0; i < count; ++i) {
    packets.service[i] = kNoService;
    if (packets.fate[i] != Fate::forward) continue;
    packets.service[i] = service_of(snapshot.vips, packets.info[i]);
    if (packets.service[i] == kNoService) {
      packets.drop(i, Reason::no_service);
    } else if (packets.info[i].kind == PacketKind::later_fragment) {
      packets.hash[i] = fragments_.hash(fragment_key(packets.info[i]));
    } else {
      packets.hash[i] = parts_.flows->hash(packets.info[i].key);
      parts_.flows->prefetch_near(packets.hash[i]);
    }
  }
}

void Steering::find(PacketColumns& packets, uint32_t count, uint64_t now_ns) const {
  for (uint32_t i = 0; i < count; ++i) {
    if (packets.fate[i] != Fate::forward || !is_flow(packets.info[i].kind)) continue;
    packets.hit[i] = parts_.flows->find_near(packets.hash[i], now_ns);
    if (!packets.hit[i]) parts_.flows->prefetch_far(packets.hash[i]);
  }
}

inline bool Steering::follow(const Snapshot& snapshot, PacketColumns& packets, uint32_t i, const FlowHit& hit,
                             uint64_t now_ns) {
  const uint8_t tcp_flags = packets.info[i].tcp_flags;
  if (starts_anew(hit.state, tcp_flags) || !keeps_flows(snapshot, hit.target())) {
    parts_.flows->remove(hit);
    return false;
  }
  // The policy of the service that the flow was entered for, which is this one unless the configuration moved the
  // VIP.
  const FlowPolicy& policy = snapshot.services[packets.service[i]].policy;
  if (!parts_.flows->touch(hit, tcp_flags, policy, now_ns)) return false;
  packets.target[i] = hit.target().id;
  packets.flow[i] = FlowUse::hit;
  return true;
}

void Steering::decide(const Snapshot& snapshot, PacketColumns& packets, uint32_t count, uint64_t now_ns) {
  for (uint32_t i = 0; i < count; ++i) {
    if (packets.fate[i] != Fate::forward) continue;
    // Nearly all packets: of a flow that was found and goes on as before.
    if (packets.info[i].kind == PacketKind::transport && packets.hit[i] &&
        follow(snapshot, packets, i, packets.hit[i], now_ns)) {
      continue;
    }
    decide_other(snapshot, packets, i, now_ns);
  }
}

void Steering::decide_other(const Snapshot& snapshot, PacketColumns& packets, uint32_t i, uint64_t now_ns) {
  packets.flow[i] = FlowUse::none;
  switch (packets.info[i].kind) {
    case PacketKind::transport:
    case PacketKind::other:
    case PacketKind::first_fragment: decide_flow(snapshot, packets, i, now_ns); break;
    case PacketKind::icmp_error: decide_error(snapshot, packets, i, now_ns); break;
    case PacketKind::later_fragment:
      follow_first(snapshot, packets, i, fragments_.find(packets.hash[i], now_ns));
      break;
    case PacketKind::icmp_echo: choose(snapshot, packets, i); break;
  }
}

void Steering::decide_flow(const Snapshot& snapshot, PacketColumns& packets, uint32_t i, uint64_t now_ns) {
  const PacketInfo& info = packets.info[i];
  FlowHit hit = packets.hit[i];
  if (!hit) hit = parts_.flows->find_far(packets.hash[i], now_ns);
  if (hit && follow(snapshot, packets, i, hit, now_ns)) {
    if (info.kind != PacketKind::first_fragment) return;
  } else {
    // RSS may have put the flow's earlier packets on another queue. Asked only while that matters: where some target
    // takes no new flows, the table would choose another one than the flow has.
    const bool look_elsewhere = snapshot.any_draining || parts_.orphans;
    const FlowHit there = look_elsewhere ? find_elsewhere(packets.hash[i], now_ns) : FlowHit{};
    if (there && keeps_flows(snapshot, there.target()) && !starts_anew(there.state, info.tcp_flags)) {
      packets.target[i] = there.target().id;
    } else {
      choose(snapshot, packets, i);
      if (packets.fate[i] == Fate::drop) return;
    }
    const FlowTarget target{packets.target[i], snapshot.targets[packets.target[i]].epoch};
    const FlowEntry entry =
        parts_.flows->enter(packets.hash[i], info.key, info.tcp_flags, {target, packets.service[i]},
                            snapshot.services[packets.service[i]].policy, now_ns);
    if (entry.outcome == FlowOutcome::entered) packets.flow[i] = FlowUse::entered;
    // Another packet of this batch was first; where its flow may not be followed, the choice just made is as good.
    if (entry.outcome == FlowOutcome::existed) follow(snapshot, packets, i, entry.hit, now_ns);
  }
  if (info.kind == PacketKind::first_fragment) decide_first_fragment(snapshot, packets, i, now_ns);
}

// Its flow has a target: from now on the datagram has.
void Steering::decide_first_fragment(const Snapshot& snapshot, PacketColumns& packets, uint32_t i, uint64_t now_ns) {
  const FlowTarget target{packets.target[i], snapshot.targets[packets.target[i]].epoch};
  const FragmentDecision decision{target, packets.service[i], static_cast<uint32_t>(packets.hash[i])};
  const uint64_t datagram = fragments_.hash(fragment_key(packets.info[i]));
  const FragmentDecision inforce = fragments_.publish(datagram, decision, now_ns, parts_.fragment_ttl_ns).decision;
  if (keeps_flows(snapshot, inforce.target)) packets.target[i] = inforce.target.id;
  if (firsts_count_ < firsts_.size()) firsts_[firsts_count_++] = {datagram, inforce};
}

void Steering::decide_error(const Snapshot& snapshot, PacketColumns& packets, uint32_t i, uint64_t now_ns) {
  FlowHit hit = parts_.flows->find(packets.hash[i], now_ns);
  // The error comes from a router, so RSS puts it on a queue that has nothing to do with the flow's.
  if (!hit) hit = find_elsewhere(packets.hash[i], now_ns);
  if (hit && keeps_flows(snapshot, hit.target())) {
    packets.target[i] = hit.target().id;
    packets.flow[i] = FlowUse::hit;
  } else {
    choose(snapshot, packets, i);
  }
}

void Steering::steer_held(const Snapshot& snapshot, PacketColumns& packets, uint32_t count, uint64_t now_ns) {
  look_up(snapshot, packets, count);
  for (uint32_t i = 0; i < count; ++i) {
    if (packets.fate[i] != Fate::forward) continue;
    packets.flow[i] = FlowUse::none;
    follow_first(snapshot, packets, i, decision_for_held(packets.hash[i], now_ns));
  }
}

std::optional<FragmentDecision> Steering::decision_for_held(uint64_t hash, uint64_t now_ns) const {
  for (uint32_t k = 0; k < firsts_count_; ++k) {
    if (firsts_[k].datagram == hash) return firsts_[k].decision;
  }
  return fragments_.find(hash, now_ns);
}

void Steering::follow_first(const Snapshot& snapshot, PacketColumns& packets, uint32_t i,
                            const std::optional<FragmentDecision>& decision) {
  if (!decision) {
    packets.fate[i] = Fate::hold;
    return;
  }
  if (!keeps_flows(snapshot, decision->target)) {
    packets.drop(i, Reason::no_target);
    return;
  }
  packets.service[i] = decision->service;
  packets.target[i] = decision->target.id;
}

FlowHit Steering::find_elsewhere(uint64_t hash, uint64_t now_ns) const {
  for (const FlowReader& other : parts_.others) {
    if (const FlowHit hit = other.find(hash, now_ns)) return hit;
  }
  return {};
}

}  // namespace xdplb
