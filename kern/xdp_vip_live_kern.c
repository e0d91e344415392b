/* xdp_vip_live: xdp_vip for the device of a one-arm set-up, and also what the workers run to transmit live frames. It
 * must be the very program on the device (xdp_egress_live_kern.c tells why), and a device carries one: so it is both.
 * A packet from the wire pays one comparison for that. Kernels before 5.18 refuse it. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "kern/live_transmit.h"
#include "kern/xdp_vip.h"

SEC("xdp")
int xdp_vip_live(struct xdp_md* ctx) {
  __u32 worker = 0;
  struct xdplb_live_run* run = xdplb_live_run(ctx, &worker);
  return run ? xdplb_live_transmit(ctx, run, worker) : xdplb_decide(ctx);
}

char program_license[] SEC("license") = "Dual MIT/GPL";
