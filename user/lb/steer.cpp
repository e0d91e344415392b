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

// By the service's table; no_target where it has none.
void choose(const Snapshot& snapshot, PacketColumns& packets, uint32_t i) {
  const SnapshotService& service = snapshot.services[packets.service[i]];
  packets.target[i] = service.choose(snapshot.steering_hash(packets.info[i].key, service.hash_fields));
  if (packets.target[i] == kNoTarget) packets.drop(i, Reason::no_target);
}

}  // namespace

const char* to_string(FlowUse use) {
  switch (use) {
    case FlowUse::none: return "none";
    case FlowUse::hit: return "hit";
    case FlowUse::entered: return "new";
  }
  return "?";
}

Steering::Steering(const SteeringParts& parts) : parts_(parts), fragments_(parts.fragments, parts.fragment_secret) {}

void Steering::steer(const Snapshot& snapshot, PacketColumns& packets, uint32_t count, uint64_t now_ns) {
  look_up(snapshot, packets, count);
  find(packets, count);
  decide(snapshot, packets, count, now_ns);
}

// One loop for both, because buckets come from memory at a pace of their own: matching the next packet fills the
// time.
void Steering::look_up(const Snapshot& snapshot, PacketColumns& packets, uint32_t count) const {
  const FlowTable& flows = *parts_.flows;
  const bool prefetches = !flows.stays_cached();
  for (uint32_t i = 0; i < count; ++i) {
    const PacketInfo& info = packets.info[i];
    if (packets.fate[i] != Fate::forward || info.kind != PacketKind::transport) [[unlikely]] {
      look_up_other(snapshot, packets, i);
      continue;
    }
    packets.service[i] = snapshot.vips.match(info.key.dst, info.key.protocol, info.key.dst_port);
    if (packets.service[i] == kNoService) {
      packets.entry[i] = kNoEntry;
      packets.drop(i, Reason::no_service);
      continue;
    }
    const uint64_t hash = flows.hash(info.key);
    const uint32_t near = flows.near_entry(hash);
    if (prefetches) flows.prefetch(near);
    packets.hash[i] = hash;
    packets.entry[i] = near;
  }
}

void Steering::look_up_other(const Snapshot& snapshot, PacketColumns& packets, uint32_t i) const {
  packets.service[i] = kNoService;
  packets.entry[i] = kNoEntry;
  if (packets.fate[i] != Fate::forward) return;
  const PacketInfo& info = packets.info[i];
  packets.service[i] = service_of(snapshot.vips, info);
  if (packets.service[i] == kNoService) {
    packets.drop(i, Reason::no_service);
  } else if (info.kind == PacketKind::later_fragment) {
    packets.hash[i] = fragments_.hash(fragment_key(info));
  } else {
    packets.hash[i] = parts_.flows->hash(info.key);
    parts_.flows->prefetch(parts_.flows->near_entry(packets.hash[i]));
  }
}

void Steering::find(PacketColumns& packets, uint32_t count) const {
  const FlowTable& flows = *parts_.flows;
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t near = packets.entry[i];
    if (near == kNoEntry) continue;
    const uint32_t found = flows.seek(near, packets.hash[i]);
    packets.entry[i] = found;
    if (found == kNoEntry) flows.prefetch_far(packets.hash[i]);
  }
}

bool Steering::follow(const Snapshot& snapshot, PacketColumns& packets, uint32_t i, const FlowHit& hit,
                      uint64_t now_ns) {
  const uint8_t tcp_flags = packets.info[i].tcp_flags;
  if (starts_anew(hit.state, tcp_flags) || !snapshot.keeps_flows(hit.target())) {
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
  FlowTable& flows = *parts_.flows;
  const Tick now = to_tick(now_ns);
  const std::span<const SnapshotTarget> targets = snapshot.targets;
  uint32_t others = 0;
  for (uint32_t i = 0; i < count; ++i) {
    // Nearly all packets: of a flow that was found, and that stays in its state (which no free entry does) and with
    // its target.
    if (const uint32_t entry = packets.entry[i]; entry != kNoEntry) {
      const FlowWords flow = flows.words_of(entry);
      if (flow.has_tag(FlowTag(packets.hash[i])) && is_before(now, deadline_of(flow.life)) &&
          stays(flow.state(), packets.info[i].tcp_flags) && keeps_flows(targets, flow.target())) {
        flows.renew(entry, flow, snapshot.services[packets.service[i]].policy.timeouts, now);
        packets.target[i] = flow.target().id;
        packets.flow[i] = FlowUse::hit;
        continue;
      }
    }
    ++others;
    if (packets.fate[i] == Fate::forward) decide_other(snapshot, packets, i, now_ns);
  }
  flows.count_hits(count - others);
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
  const FlowHit hit = parts_.flows->find(packets.hash[i], now_ns);
  if (hit && follow(snapshot, packets, i, hit, now_ns)) {
    if (info.kind != PacketKind::first_fragment) return;
  } else {
    // RSS may have put the flow's earlier packets on another queue. Asked only while that matters: where some target
    // takes no new flows, the table would choose another one than the flow has.
    const bool look_elsewhere = snapshot.any_draining || parts_.orphans;
    const FlowHit there = look_elsewhere ? find_elsewhere(packets.hash[i], now_ns) : FlowHit{};
    if (there && snapshot.keeps_flows(there.target()) && !starts_anew(there.state, info.tcp_flags)) {
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
  if (snapshot.keeps_flows(inforce.target)) packets.target[i] = inforce.target.id;
  if (firsts_count_ < firsts_.size()) firsts_[firsts_count_++] = {datagram, inforce};
}

void Steering::decide_error(const Snapshot& snapshot, PacketColumns& packets, uint32_t i, uint64_t now_ns) {
  FlowHit hit = parts_.flows->find(packets.hash[i], now_ns);
  // The error comes from a router, so RSS puts it on a queue that has nothing to do with the flow's.
  if (!hit) hit = find_elsewhere(packets.hash[i], now_ns);
  if (hit && snapshot.keeps_flows(hit.target())) {
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
  if (!snapshot.keeps_flows(decision->target)) {
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
