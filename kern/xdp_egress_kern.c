/* The programs of the egress device; one of them is attached. Both pass everything that the device receives; that one
 * is there makes zero-copy transmit possible on drivers that want a native program for it.
 *
 * xdp_egress loads everywhere. xdp_egress_live also is what the workers run to transmit live frames, and must be the
 * very program on the device: running another one costs 25 ms a call (the kernel rebuilds its XDP dispatcher). It is
 * not loaded unless asked for (libbpf's '?'), since kernels before 5.18 refuse it. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "kern/abi.h"
#include "kern/live_transmit.h"

SEC("xdp")
int xdp_egress(struct xdp_md* ctx) {
  (void)ctx;
  return XDP_PASS;
}

SEC("?xdp")
int xdp_egress_live(struct xdp_md* ctx) {
  __u32 worker = 0;
  struct xdplb_live_run* run = xdplb_live_run(ctx, &worker);
  return run ? xdplb_live_transmit(ctx, run, worker) : XDP_PASS;
}

char program_license[] SEC("license") = "Dual MIT/GPL";
