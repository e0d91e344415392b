/* The sink: judges and drops every packet of xdpgen that a device receives, as the cheapest receiver there is. What
 * carries no stamp (ARP, neighbour discovery) passes. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "tools/packets/abi.h"
#include "tools/packets/checksum.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct xdpsink_setup);
} xdpsink_setup SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, XDPSINK_CPUS);
  __type(key, __u32);
  __type(value, struct xdpsink_counts);
} xdpsink_counts SEC(".maps");

/* The highest sequence that came, by flow. One flow comes by one CPU at a time. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, PACKET_FLOWS_MAX);
  __type(key, __u32);
  __type(value, __u64);
} xdpsink_flows SEC(".maps");

enum {
  ETHER_TYPE = 12,
  IP4_PROTOCOL = 23,
  IP4_ADDRESSES = 26,
  IP6_NEXT_HEADER = 20,
  IP6_ADDRESSES = 22,
  UDP = 17,
};

static __always_inline __u64 mac_at(const __u8* at) {
  return load32(at) | load16(at + 4) << 32;
}

static __always_inline void check_macs(const __u8* packet, const struct xdpsink_setup* setup,
                                       struct xdpsink_counts* counts) {
  const __u8 last = packet[5];
  if (setup->targets[last] != mac_at(packet)) counts->bad_destination++;
  counts->by_target[last]++;
  if (setup->source && setup->source != mac_at(packet + 6)) counts->bad_source++;
}

static __always_inline void check_checksum(const __u8* addresses, __u32 address_words, const __u8* stamp,
                                           struct xdpsink_counts* counts) {
  const __u8* udp = stamp - 8;
  __u64 sum = (__u64)UDP << 8; /* of the pseudo-header, as the (little-endian) host sees it */
  sum += load16(udp + 4);      /* the length stands in both */
  for (__u32 i = 0; i < address_words; i++) sum += load32(addresses + 4 * i);
  sum += load32(udp) + load32(udp + 4);
  for (__u32 i = 0; i < PACKET_STAMP_BYTES - 2; i += 4) sum += load32(stamp + i);
  sum += load16(stamp + 16);
  if (fold(sum) != 0xffff) counts->bad_checksum++;
}

static __always_inline void check_pattern(const __u8* at, const __u8* end, struct xdpsink_counts* counts) {
  counts->verified++;
  for (__u32 i = 0; i < PACKET_BYTES_MAX / 8; i++) {
    const __u32 word = packet_pattern_word(i);
    const __u32* words = (const __u32*)(at + 8 * i);
    if ((const __u8*)(words + 2) > end) break;
    if (words[0] != word || words[1] != ~word) {
      counts->bad_payload++;
      break;
    }
  }
}

static __always_inline void check_order(const __u8* stamp, struct xdpsink_counts* counts) {
  const __u32 flow = (__u32)load32(stamp + PACKET_FLOW);
  const __u32 sequence = (__u32)load32(stamp + PACKET_SEQUENCE);
  __u64* last = bpf_map_lookup_elem(&xdpsink_flows, &flow);
  if (!last) {
    counts->unknown_flow++;
  } else if (sequence > *last) {
    counts->gaps += sequence - *last - 1;
    *last = sequence;
  } else {
    counts->out_of_order++;
  }
}

static __always_inline void judge(const __u8* packet, const __u8* end, const __u8* stamp, int is_v6,
                                  struct xdpsink_counts* counts) {
  const __u32 zero = 0;
  const struct xdpsink_setup* setup = bpf_map_lookup_elem(&xdpsink_setup, &zero);
  if (!setup) return;
  counts->packets++;
  counts->bytes += (__u64)(end - packet);
  check_macs(packet, setup, counts);
  if (is_v6) {
    check_checksum(packet + IP6_ADDRESSES, 8, stamp, counts);
  } else {
    check_checksum(packet + IP4_ADDRESSES, 2, stamp, counts);
  }
  if ((counts->packets & setup->verify_mask) == 0) check_pattern(stamp + PACKET_STAMP_BYTES, end, counts);
  check_order(stamp, counts);
  if (setup->latency && ++counts->untimed >= setup->latency) {
    counts->untimed = 0;
    const __u32 bucket = latency_bucket(bpf_ktime_get_ns() - load64(stamp + PACKET_SENT_NS));
    if (bucket < XDPSINK_BUCKETS) counts->latency[bucket]++;
  }
}

static __always_inline int is_stamp(const __u8* at) {
  return load16(at + PACKET_MAGIC_AT) == PACKET_MAGIC;
}

SEC("xdp")
int xdpsink(struct xdp_md* ctx) {
  const __u32 cpu = bpf_get_smp_processor_id();
  struct xdpsink_counts* counts = bpf_map_lookup_elem(&xdpsink_counts, &cpu);
  const __u8* packet = (const __u8*)(long)ctx->data;
  const __u8* end = (const __u8*)(long)ctx->data_end;
  if (!counts) return XDP_ABORTED;
  if (packet + PACKET_BYTES_MIN4 <= end && packet[ETHER_TYPE] == 0x08 && packet[ETHER_TYPE + 1] == 0x00 &&
      packet[IP4_PROTOCOL] == UDP && is_stamp(packet + PACKET_STAMP_AT4)) {
    judge(packet, end, packet + PACKET_STAMP_AT4, 0, counts);
    return XDP_DROP;
  }
  if (packet + PACKET_BYTES_MIN6 <= end && packet[ETHER_TYPE] == 0x86 && packet[ETHER_TYPE + 1] == 0xdd &&
      packet[IP6_NEXT_HEADER] == UDP && is_stamp(packet + PACKET_STAMP_AT6)) {
    judge(packet, end, packet + PACKET_STAMP_AT6, 1, counts);
    return XDP_DROP;
  }
  counts->foreign++;
  return XDP_PASS;
}

char program_license[] SEC("license") = "Dual MIT/GPL";
