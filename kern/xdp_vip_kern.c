/* xdp_vip: the program of the ingress devices. Scripts load this object with bpftool, so it holds nothing else:
 * `bpftool prog loadall` fails where a program of the object is not loaded, and pins every map there is. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "kern/xdp_vip.h"

SEC("xdp")
int xdp_vip(struct xdp_md* ctx) {
  return xdplb_decide(ctx);
}

char program_license[] SEC("license") = "Dual MIT/GPL";
