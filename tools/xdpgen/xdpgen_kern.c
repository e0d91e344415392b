/* The generator. Run with BPF_F_TEST_XDP_LIVE_FRAMES while attached to the device that it sends from (abi.h): each
 * repetition turns its page into the next packet and hands it to the device, without an skb.
 *
 * The page may come back with what a receiver wrote into it, so that every byte up to the end of the stamp is
 * written. What lies behind stays as user space gave it: nobody on the way changes a payload. */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "tools/packets/abi.h"
#include "tools/packets/checksum.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct xdpgen_run);
} xdpgen_map SEC(".maps");

enum { LOOPBACK_IFINDEX = 1 /* what a test run without a context reports */ };

enum {
  IP4_CHECKSUM = 24,
  IP4_SOURCE = 26,
  IP6_SOURCE_LOW = 34, /* the last four bytes */
};

static long is_time(__u32 index, __u64* due_ns) {
  (void)index;
  return bpf_ktime_get_ns() >= *due_ns;
}

/* Until the packet is due. */
static __always_inline void pace(struct xdpgen_run* run) {
  __u64 due_ns = run->due >> XDPGEN_TIME_SHIFT;
  __u64 now_ns;
  if (run->interval == 0) {
    if (run->sent % XDPGEN_CLOCK_EVERY == 0) run->now_ns = bpf_ktime_get_ns();
    return;
  }
  now_ns = bpf_ktime_get_ns();
  if (now_ns < due_ns) {
    bpf_loop(1 << 20, is_time, &due_ns, 0);
    now_ns = bpf_ktime_get_ns();
  } else if (now_ns - due_ns > XDPGEN_LATE_NS) {
    run->lost_ns += now_ns - due_ns;
    run->due = now_ns << XDPGEN_TIME_SHIFT;
  }
  run->due += run->interval;
  run->now_ns = now_ns;
}

static __always_inline __u64 write_stamp(const struct xdpgen_run* run, __u8* stamp) {
  *(__u64*)(stamp + PACKET_SENT_NS) = run->now_ns;
  *(__u32*)(stamp + PACKET_FLOW) = run->flow;
  *(__u32*)(stamp + PACKET_SEQUENCE) = run->sequence;
  *(__u16*)(stamp + PACKET_MAGIC_AT) = PACKET_MAGIC;
  return sum64(run->now_ns) + run->flow + run->sequence + PACKET_MAGIC;
}

/* `source_at`, `stamp_at`: offsets of the last four bytes of the source address and of the stamp, both constants. The
 * header is copied in whole words; what that is too much is overwritten by the stamp. */
static __always_inline void write_packet(struct xdpgen_run* run, __u8* packet, __u32 source_at, __u32 stamp_at) {
  const __u32 source = bpf_htonl(run->source + run->flow / PACKET_PORTS);
  const __u16 port = bpf_htons((__u16)(PACKET_PORT_FIRST + run->flow % PACKET_PORTS));
  __u64 sum = run->udp_sum + source + port;
  __u16 checksum;
  for (__u32 i = 0; i < (stamp_at + 7) / 8; i++) ((__u64*)packet)[i] = run->header[i];
  *(__u32*)(packet + source_at) = source;
  *(__u16*)(packet + stamp_at - 8) = port;
  if (source_at == IP4_SOURCE) *(__u16*)(packet + IP4_CHECKSUM) = (__u16)~fold(run->ip_sum + source);
  sum += write_stamp(run, packet + stamp_at);
  checksum = (__u16)~fold(sum);
  *(__u16*)(packet + stamp_at - 2) = checksum ? checksum : 0xffff;
}

static __always_inline void next_flow(struct xdpgen_run* run) {
  run->sent++;
  if (++run->flow >= run->flows) {
    run->flow = 0;
    run->sequence++;
  }
}

SEC("xdp")
int xdpgen(struct xdp_md* ctx) {
  const __u32 zero = 0;
  struct xdpgen_run* run = bpf_map_lookup_elem(&xdpgen_map, &zero);
  __u8* packet = (__u8*)(long)ctx->data;
  const __u8* end = (__u8*)(long)ctx->data_end;
  if (ctx->ingress_ifindex != LOOPBACK_IFINDEX || !run || !run->armed) return XDP_PASS;
  if (run->family == 6) {
    if (packet + PACKET_BYTES_MIN6 > end) return XDP_DROP;
    pace(run);
    write_packet(run, packet, IP6_SOURCE_LOW, PACKET_STAMP_AT6);
  } else {
    if (packet + PACKET_BYTES_MIN4 > end) return XDP_DROP;
    pace(run);
    write_packet(run, packet, IP4_SOURCE, PACKET_STAMP_AT4);
  }
  next_flow(run);
  return (int)bpf_redirect(run->ifindex, 0);
}

char program_license[] SEC("license") = "Dual MIT/GPL";
