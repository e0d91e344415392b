/* Live-frame transmit, the kernel's half: a packet that a worker staged in a mapped array leaves through the egress
 * device as an XDP frame, without an skb. abi.h says how a worker calls.
 *
 * Needs what BPF_F_TEST_XDP_LIVE_FRAMES itself needs, kernel 5.18: bpf_xdp_store_bytes is of the same release. */
#ifndef XDPLB_KERN_LIVE_TRANSMIT_H
#define XDPLB_KERN_LIVE_TRANSMIT_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <stddef.h>

#include "kern/abi.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, XDPLB_LIVE_WORKERS);
  __type(key, __u32);
  __type(value, struct xdplb_live_run);
} xdp_live_map SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1); /* set before loading: the number of workers */
  __type(key, __u32);
  __type(value, struct xdplb_stage);
} xdp_stage_map SEC(".maps");

enum { XDPLB_LOOPBACK_IFINDEX = 1 /* in every network namespace; what a test run without a context reports */ };

/* Length of what the call brought; every repetition starts with it. The barrier keeps the difference in 64 bits: the
 * verifier forbids 32-bit arithmetic on packet pointers. */
static __always_inline __u64 xdplb_run_bytes(const struct xdp_md* ctx) {
  __u64 len_bytes = (__u64)ctx->data_end - (__u64)ctx->data;
  __asm__ volatile("" : "+r"(len_bytes));
  return len_bytes;
}

/* The run that this is a repetition of. NULL for a packet from the wire, and for a test run that is not ours. */
static __always_inline struct xdplb_live_run* xdplb_live_run(const struct xdp_md* ctx, __u32* worker) {
  struct xdplb_live_run* run;
  if (ctx->ingress_ifindex != XDPLB_LOOPBACK_IFINDEX) return NULL;
  *worker = (__u32)xdplb_run_bytes(ctx) - XDPLB_LIVE_RUN_BYTES;
  run = bpf_map_lookup_elem(&xdp_live_map, worker);
  return run && run->armed ? run : NULL;
}

/* A packet no longer than the call's input, which nearly all of the short ones are, is written word by word while the
 * frame still has that length: a quarter of what the helper takes. */
static __always_inline int xdplb_fill_short(struct xdp_md* ctx, struct xdplb_staged* staged, __u64 len_bytes) {
  __u64* to = (__u64*)(long)ctx->data;
  const __u64* from = (const __u64*)staged->bytes;
  if ((void*)to + XDPLB_LIVE_RUN_BYTES > (void*)(long)ctx->data_end) return -1;
#pragma unroll
  for (int word = 0; word < XDPLB_LIVE_RUN_BYTES / 8; word++) to[word] = from[word];
  return bpf_xdp_adjust_tail(ctx, (int)(len_bytes - xdplb_run_bytes(ctx))) != 0 ? -1 : 0;
}

/* Turns the live frame into the staged packet. The page carries an earlier packet's bytes: all of it is written. */
static __always_inline int xdplb_fill(struct xdp_md* ctx, struct xdplb_staged* staged, __u64 len_bytes) {
  if (len_bytes < 14) return -1;
  __asm__ volatile("" : "+r"(len_bytes)); /* two comparisons: folded into one, the verifier loses the bounds */
  if (len_bytes > sizeof staged->bytes) return -1;
  if (len_bytes <= XDPLB_LIVE_RUN_BYTES) return xdplb_fill_short(ctx, staged, len_bytes);
  if (bpf_xdp_adjust_tail(ctx, (int)(len_bytes - xdplb_run_bytes(ctx))) != 0) return -1;
  return (int)bpf_xdp_store_bytes(ctx, 0, staged->bytes, (__u32)len_bytes);
}

static __always_inline int xdplb_live_transmit(struct xdp_md* ctx, struct xdplb_live_run* run, __u32 worker) {
  struct xdplb_stage* stage = bpf_map_lookup_elem(&xdp_stage_map, &worker);
  struct xdplb_staged* staged;
  __u64 at = *(volatile __u32*)&run->next_at; /* once, as the length: user space may write to them */
  __u64 len_bytes;
  if (!stage || run->tail >= run->count || at > sizeof *stage - sizeof *staged) return XDP_DROP;
  staged = (struct xdplb_staged*)(stage->bytes + at);
  len_bytes = *(volatile __u32*)&staged->len_bytes;
  run->tail++;
  run->next_at = (__u32)at + staged->stride;
  if (xdplb_fill(ctx, staged, len_bytes) != 0) {
    run->refused++;
    return XDP_DROP;
  }
  return (int)bpf_redirect(run->ifindex, 0);
}

#endif
