/* xdp_egress_live: xdp_egress, and also what the workers run to transmit live frames. It must be the very program on
 * the device: running another one costs 25 ms a call (the kernel rebuilds its XDP dispatcher). An object of its own,
 * since kernels before 5.18 refuse it. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "kern/live_transmit.h"

SEC("xdp")
int xdp_egress_live(struct xdp_md* ctx) {
  __u32 worker = 0;
  struct xdplb_live_run* run = xdplb_live_run(ctx, &worker);
  return run ? xdplb_live_transmit(ctx, run, worker) : XDP_PASS;
}

char program_license[] SEC("license") = "Dual MIT/GPL";
