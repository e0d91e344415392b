/* The maps of xdp_vip and its decision: packets of VIPs go to the AF_XDP socket of their queue, everything else
 * passes. xdp_vip and xdp_vip_live are made of it, each in an object of its own.
 *
 * There is no cheap way back from user space, so what is not for a VIP never goes there. A packet for a VIP that no
 * socket serves (queue or device not armed, daemon dead, worker hung) takes the VIP's fallback action.
 *
 * Loads on 5.15: bpf_ktime_get_coarse_ns (5.11) is the newest helper. No .rodata, .data or .bss, which
 * `bpftool prog loadall ... pinmaps` would pin as maps beside ours. */
#ifndef XDPLB_KERN_XDP_VIP_H
#define XDPLB_KERN_XDP_VIP_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <stdbool.h>
#include <stddef.h>

#include "kern/abi.h"
#include "kern/classify.h"
#include "kern/heartbeat.h"

/* The contract with operators: names, key and value are fixed. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, XDPLB_MAX_VIPS);
  __type(key, struct xdplb_addr);
  __type(value, __s32);
} xdp_vip_map SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, XDPLB_MAX_SLOTS);
  __type(key, __u32);
  __type(value, __u32);
} xsks_map SEC(".maps");

/* The daemon's own: described in abi.h. */
struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, XDPLB_MAX_PREFIXES);
  __type(key, struct xdplb_prefix_key);
  __type(value, struct xdplb_prefix_value);
} xdp_prefix_map SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, XDPLB_MAX_VIPS);
  __type(key, struct xdplb_addr);
  __type(value, struct xdplb_vip_attr);
} xdp_attr_map SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC); /* 24 KiB each, and most hosts need a few */
  __uint(max_entries, XDPLB_MAX_PORTSETS);
  __type(key, __u32);
  __type(value, struct xdplb_portset);
} xdp_portset_map SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, XDPLB_MAX_SLOTS);
  __type(key, __u32);
  __type(value, struct xdplb_slot);
} xdp_slot_map SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct xdplb_setup);
} xdp_setup_map SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, XDPLB_COUNTS);
  __type(key, __u32);
  __type(value, __u64);
} xdp_count_map SEC(".maps");

struct vip {
  __s32 fallback;
  __u32 portset; /* 0: every protocol and port */
};

static __always_inline void count(__u32 which) {
  __u64* packets = bpf_map_lookup_elem(&xdp_count_map, &which);
  if (packets) *packets += 1;
}

/* An exact VIP beats a prefix. The maps that setup calls empty are not asked. */
static __always_inline bool find_vip(const struct xdplb_addr* addr, const struct xdplb_setup* setup,
                                     struct vip* vip) {
  const __s32* fallback = bpf_map_lookup_elem(&xdp_vip_map, addr);
  if (fallback) {
    const struct xdplb_vip_attr* attr = setup->has_portsets ? bpf_map_lookup_elem(&xdp_attr_map, addr) : NULL;
    vip->fallback = *fallback;
    vip->portset = attr ? attr->portset : 0;
    return true;
  }
  if (setup->has_prefixes) {
    struct xdplb_prefix_key key = {.prefix_len = 128, .addr = *addr};
    const struct xdplb_prefix_value* prefix = bpf_map_lookup_elem(&xdp_prefix_map, &key);
    if (!prefix) return false;
    vip->fallback = prefix->fallback;
    vip->portset = setup->has_portsets ? prefix->portset : 0;
    return true;
  }
  return false;
}

static __always_inline bool bit_is_set(const __u64* words, __u32 bit) {
  return words[bit / 64] >> (bit % 64) & 1;
}

/* A port set that is named but missing takes everything: user space decides by service anyway. */
static __always_inline bool is_listened_to(const struct xdplb_packet* packet, __u32 portset) {
  const struct xdplb_portset* set;
  if (packet->flags & (XDPLB_PACKET_FRAGMENT | XDPLB_PACKET_ICMP)) return true;
  set = bpf_map_lookup_elem(&xdp_portset_map, &portset);
  if (!set) return true;
  if (packet->flags & XDPLB_PACKET_BROKEN) return false;
  if (bit_is_set(set->protocols, packet->protocol)) return true;
  if (!(packet->flags & XDPLB_PACKET_PORTS)) return false;
  if (packet->protocol == XDPLB_PROTO_TCP) return bit_is_set(set->tcp_ports, packet->dst_port);
  if (packet->protocol == XDPLB_PROTO_UDP) return bit_is_set(set->udp_ports, packet->dst_port);
  return bit_is_set(set->sctp_ports, packet->dst_port);
}

/* The armed slot of the queue that the packet came in on; its index is that of xsks_map. The first device's slots
 * come first, so that a daemon with one device has slot == queue. */
static __always_inline struct xdplb_slot* find_slot(const struct xdp_md* ctx, __u32* index) {
  const __u32 queue = ctx->rx_queue_index;
  const __u32 ifindex = ctx->ingress_ifindex;
  if (queue >= XDPLB_MAX_QUEUES) return NULL;
  XDPLB_UNROLL
  for (__u32 device = 0; device < XDPLB_MAX_DEVICES; device++) {
    __u32 i = device * XDPLB_MAX_QUEUES + queue;
    struct xdplb_slot* slot = bpf_map_lookup_elem(&xdp_slot_map, &i);
    if (slot && slot->ifindex == ifindex) {
      *index = i;
      return slot;
    }
  }
  return NULL;
}

/* Asks the clock and the worker's cache line once a tick: both change no faster, and asking costs 20 ns. */
static __always_inline bool is_served(struct xdplb_slot* slot) {
  const __u64 tick = bpf_jiffies64();
  if (slot->good_tick == tick || slot->stale_after_ns == 0) return true;
  if (!xdplb_beats(slot, bpf_ktime_get_coarse_ns())) return false;
  slot->good_tick = tick;
  return true;
}

static __always_inline int redirect(const struct xdp_md* ctx, __s32 fallback) {
  const __u64 action = fallback == XDPLB_FALLBACK_PASS ? XDP_PASS : XDP_DROP;
  __u32 index = 0;
  struct xdplb_slot* slot = find_slot(ctx, &index);
  long verdict;
  if (!slot) {
    count(XDPLB_COUNT_UNARMED);
    return action;
  }
  if (!is_served(slot)) {
    slot->fallback++;
    return action;
  }
  verdict = bpf_redirect_map(&xsks_map, index, action); /* the action where the entry is empty */
  if (verdict == XDP_REDIRECT)
    slot->redirected++;
  else
    count(XDPLB_COUNT_NO_SOCKET);
  return verdict;
}

static __always_inline int xdplb_decide(struct xdp_md* ctx) {
  struct xdplb_packet packet;
  struct vip vip;
  __u32 zero = 0;
  const struct xdplb_setup* setup = bpf_map_lookup_elem(&xdp_setup_map, &zero);
  if (!setup) return XDP_PASS;
  if (!xdplb_classify((void*)(long)ctx->data, (void*)(long)ctx->data_end, &packet)) return XDP_PASS;
  if (!find_vip(&packet.dst, setup, &vip)) return XDP_PASS;
  if (packet.flags & XDPLB_PACKET_ND) return XDP_PASS;
  if (vip.portset != 0 && !is_listened_to(&packet, vip.portset)) {
    count(XDPLB_COUNT_OTHER_PORT);
    return XDP_PASS;
  }
  return redirect(ctx, vip.fallback);
}

#endif
