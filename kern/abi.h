/* Layout of the maps shared between the kernel programs and user space. Plain C, fixed widths, host byte order
 * unless stated: included by the BPF programs and by the C++ code.
 *
 * xdp_vip_map and xsks_map are the contract with operators and their scripts: names, key and value never change.
 * Everything else belongs to the daemon and may change together with XDPLB_ABI_VERSION. */
#ifndef XDPLB_KERN_ABI_H
#define XDPLB_KERN_ABI_H

#include <linux/types.h>

#ifdef __cplusplus
#define XDPLB_ABI_ASSERT(condition, text) static_assert(condition, text)
#else
#define XDPLB_ABI_ASSERT(condition, text) _Static_assert(condition, text)
#endif

enum {
  XDPLB_MAX_QUEUES = 64, /* per device */
  XDPLB_MAX_DEVICES = 4, /* ingress devices of one daemon */
  XDPLB_MAX_SLOTS = XDPLB_MAX_QUEUES * XDPLB_MAX_DEVICES,
  XDPLB_MAX_VIPS = 16384,
  XDPLB_MAX_PREFIXES = 16384,
  XDPLB_MAX_PORTSETS = 4096,
};

/* IPv6 extension headers that are walked to find a packet's protocol, in the kernel and in user space. */
enum { XDPLB_MAX_EXTENSION_HEADERS = 8 };

/* An IPv4 address is ::ffff:a.b.c.d. Network byte order. Key of xdp_vip_map. */
struct xdplb_addr {
  __u8 bytes[16];
};
XDPLB_ABI_ASSERT(sizeof(struct xdplb_addr) == 16, "key of xdp_vip_map");

/* Values of xdp_vip_map: what happens to a packet for the VIP when no socket serves it. Anything else drops. */
enum {
  XDPLB_FALLBACK_DROP = 1,
  XDPLB_FALLBACK_PASS = 2,
};

/* Key of xdp_prefix_map (LPM trie): VIP prefixes shorter than one address. prefix_len counts bits of the 128, so
 * 10.0.0.0/24 has 96 + 24. */
struct xdplb_prefix_key {
  __u32 prefix_len;
  struct xdplb_addr addr;
};
XDPLB_ABI_ASSERT(sizeof(struct xdplb_prefix_key) == 20, "key of xdp_prefix_map");

/* Value of xdp_prefix_map. */
struct xdplb_prefix_value {
  __s32 fallback; /* as the value of xdp_vip_map */
  __u32 portset;  /* key of xdp_portset_map; 0: every protocol and port */
};
XDPLB_ABI_ASSERT(sizeof(struct xdplb_prefix_value) == 8, "value of xdp_prefix_map");

/* Value of xdp_attr_map, keyed as xdp_vip_map: what the daemon knows of a VIP beyond its fallback. A VIP without an
 * entry (put there by bpftool) takes every protocol and port. */
struct xdplb_vip_attr {
  __u32 portset;
  __u32 reserved;
};

/* Value of xdp_portset_map: which protocols and ports the services of a VIP listen to. A set bit means "ours". For
 * TCP, UDP and SCTP the port decides; for the rest the protocol number. Fragments and ICMP always are ours. */
struct xdplb_portset {
  __u64 protocols[4];    /* 256 bits; the bits of TCP, UDP and SCTP mean "any port" */
  __u64 tcp_ports[1024]; /* 65536 bits */
  __u64 udp_ports[1024];
  __u64 sctp_ports[1024];
};

/* xdp_slot_map (array, mmapable, XDPLB_MAX_SLOTS entries): the sockets that serve. Entry device_ordinal *
 * XDPLB_MAX_QUEUES + queue belongs to that queue of one ingress device and names the same index of xsks_map. A packet
 * is redirected only where ifindex matches.
 *
 * Heartbeat: a worker writes CLOCK_MONOTONIC to beat_ns. Where it is older than stale_after_ns, the program adds up
 * the time for which it has watched that (each observation counts at most XDPLB_OBSERVATION_MAX_NS, so that a pause
 * of the whole machine counts as one), and past stale_grace_ns the VIP's fallback applies until the next beat.
 * stale_after_ns 0: no heartbeat. A beat found good is good until the kernel's next tick (1 to 10 ms).
 *
 * The first cache line is written by user space (beat_ns by the queue's worker, the rest by the daemon), the second
 * by the program, on the one CPU that polls the queue. */
struct xdplb_slot {
  __u32 ifindex; /* 0: not armed */
  __u32 queue;
  __u64 beat_ns;
  __u64 stale_after_ns;
  __u64 stale_grace_ns;
  __u64 reserved0[4];

  __u64 observed_ns; /* when the program last looked at a stale beat */
  __u64 stale_ns;    /* for how long, in sum */
  __u64 redirected;  /* packets handed to the socket */
  __u64 fallback;    /* packets for a VIP that took its fallback action because the beat was stale */
  __u64 good_tick;   /* bpf_jiffies64() when the beat was last found good */
  __u64 reserved1[3];
};
XDPLB_ABI_ASSERT(sizeof(struct xdplb_slot) == 128, "two cache lines a slot");

enum { XDPLB_OBSERVATION_MAX_NS = 50 * 1000 * 1000 };

/* xdp_count_map (per-CPU array of __u64): packets for a VIP that no socket got, apart from those that the slot
 * counts. All but the last took the VIP's fallback action. */
enum xdplb_count {
  XDPLB_COUNT_UNARMED,    /* they came in on a device or queue that no armed slot names */
  XDPLB_COUNT_NO_SOCKET,  /* the slot is armed, but its entry of xsks_map is empty: the daemon died */
  XDPLB_COUNT_OTHER_PORT, /* no service listens there: passed to the kernel */
  XDPLB_COUNTS,
};

/* xdp_setup_map (array, 1 entry): what the program may skip. */
struct xdplb_setup {
  __u32 abi_version;
  __u32 has_prefixes; /* xdp_prefix_map is not empty */
  __u32 has_portsets; /* some VIP names ports */
  __u32 reserved;
};

/* Live-frame transmit (xdp_egress_live, xdp_vip_live). A worker stages packets and calls BPF_PROG_TEST_RUN with
 * BPF_F_TEST_XDP_LIVE_FRAMES, `repeat` = packets left; each repetition sends the next packet. The call names its
 * worker by the length of its input, XDPLB_LIVE_RUN_BYTES + worker: the only part of a live frame that the kernel
 * restores before each repetition. Where it returns early (EINTR, ENOMEM), a further call continues at tail. */
enum {
  XDPLB_LIVE_RUN_BYTES = 64,
  XDPLB_LIVE_WORKERS = 256,
  XDPLB_STAGE_BYTES = 1 << 20, /* of a worker */
};

/* Value of xdp_live_map (array, mmapable): entry w belongs to worker w. Written by the worker before the call; tail,
 * next_at and refused by the program during it. */
struct xdplb_live_run {
  __u32 armed;   /* 1 from before the call until after it */
  __u32 ifindex; /* the egress device */
  __u32 count;   /* packets staged */
  __u32 tail;    /* packets taken from the stage: sent, or refused */
  __u64 refused; /* packets whose length is impossible, or that the kernel had no room for, since ever */
  __u32 next_at; /* where the packet at tail is staged, in bytes */
  __u32 reserved32;
  __u64 reserved[4];
};
XDPLB_ABI_ASSERT(sizeof(struct xdplb_live_run) == 64, "a cache line a worker");

/* A staged packet. The next one follows `stride` bytes later, as soon as the length allows: a stage that is read from
 * one end to the other is one that the processor fetches ahead. Longer frames do not fit a live frame's page in any
 * case that matters, and go by XSK. */
struct xdplb_staged {
  __u32 len_bytes;
  __u32 stride; /* a multiple of 8 */
  __u8 bytes[2040];
};
XDPLB_ABI_ASSERT(sizeof(struct xdplb_staged) == 2048, "the longest");

/* Value of xdp_stage_map (array, mmapable): entry w belongs to worker w. Whoever loads the program sets max_entries
 * to the number of workers. A packet begins no later than XDPLB_STAGE_BYTES - sizeof(struct xdplb_staged). */
struct xdplb_stage {
  __u8 bytes[XDPLB_STAGE_BYTES];
};

enum { XDPLB_ABI_VERSION = 1 };

#endif
