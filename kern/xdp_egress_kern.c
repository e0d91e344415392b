/* xdp_egress: the program of the egress device where no live frames are sent. It passes everything that the device
 * receives; that one is there makes zero-copy transmit possible on drivers that want a native program for it. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int xdp_egress(struct xdp_md* ctx) {
  (void)ctx;
  return XDP_PASS;
}

char program_license[] SEC("license") = "Dual MIT/GPL";
