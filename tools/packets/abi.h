/* What xdpgen, xdpsink and their kernel programs have in common: the stamp in each packet and the maps' layouts.
 * Plain C, fixed widths, host byte order: generator and sink are on one machine. */
#ifndef XDPLB_TOOLS_PACKETS_ABI_H
#define XDPLB_TOOLS_PACKETS_ABI_H

#include <linux/types.h>

/* The stamp: the first bytes of a packet's UDP payload. sequence counts the packets of one flow, from 1; flow is
 * 0-based.
 *
 * Behind it lies a pattern of eight bytes each, a word and its complement (pattern_word), and zeros where less than
 * eight are left. Its one's complement sum is zero, so that the UDP checksum is that of headers and stamp alone. */
enum {
  PACKET_SENT_NS = 0, /* 8 bytes, CLOCK_MONOTONIC */
  PACKET_FLOW = 8,    /* 4 */
  PACKET_SEQUENCE = 12,
  PACKET_MAGIC_AT = 16, /* 2 */
  PACKET_STAMP_BYTES = 18,
  PACKET_MAGIC = 0x7864,
  PACKET_STAMP_AT4 = 42, /* Ethernet, IPv4, UDP */
  PACKET_STAMP_AT6 = 62,
  PACKET_BYTES_MIN4 = PACKET_STAMP_AT4 + PACKET_STAMP_BYTES,
  PACKET_BYTES_MIN6 = PACKET_STAMP_AT6 + PACKET_STAMP_BYTES,
  PACKET_BYTES_MAX = 1514,
  PACKET_FLOWS_MAX = 1 << 20,
  PACKET_PORTS = 1 << 14, /* flow n: address base + n / PACKET_PORTS, port PACKET_PORT_FIRST + n % PACKET_PORTS */
  PACKET_PORT_FIRST = 1024,
};

static inline __u32 packet_pattern_word(__u32 index) {
  return (index + 1) * 0x9e3779b9u;
}

/* Value of xdpgen_map (array, mmapable, one entry): what to send, and how far it is. */
struct xdpgen_run {
  __u32 armed; /* 0: the program passes everything */
  __u32 ifindex;
  __u32 family; /* 4 or 6 */
  __u32 flows;
  __u32 source; /* last four bytes of the source address of flow 0, host order */
  __u32 reserved;
  __u64 interval; /* ns between two packets, times 2^XDPGEN_TIME_SHIFT; 0: as fast as it goes */
  __u64 ip_sum;   /* one's complement sums of what does not change, as the host sees the 16-bit words */
  __u64 udp_sum;
  __u64 header[8]; /* up to the stamp; the flow's address, port and checksums are put in */

  /* Written by the program. */
  __u64 due;    /* when the next packet leaves, times 2^XDPGEN_TIME_SHIFT */
  __u64 now_ns; /* the last time taken */
  __u64 sent;
  __u64 lost_ns; /* by which the generator was late, where it gave up catching up */
  __u32 flow;    /* the next packet's */
  __u32 sequence;
};

enum {
  XDPGEN_TIME_SHIFT = 8,
  XDPGEN_LATE_NS = 200 * 1000,     /* later than that is not caught up with: a burst would be another test */
  XDPGEN_CLOCK_EVERY = 32,         /* packets, at full speed */
  XDPGEN_WAIT_MAX_NS = 100 * 1000, /* in the program; user space sleeps for more */
};

/* Value of xdpsink_setup (array, mmapable, one entry). Targets are told by the last byte of their address. */
struct xdpsink_setup {
  __u64 targets[256]; /* destination MAC in the lower six bytes as they lie in the frame; 0: none */
  __u64 source;       /* source MAC likewise; 0: any */
  __u32 verify_mask;  /* the pattern of one packet in verify_mask + 1 is checked */
  __u32 latency;      /* the time of one packet in so many is taken; 0: of none */
};

/* Latencies in ns by power of two, each in XDPSINK_PARTS equal parts: within 3 % of the truth. */
enum {
  XDPSINK_CPUS = 64,
  XDPSINK_PART_BITS = 4,
  XDPSINK_PARTS = 1 << XDPSINK_PART_BITS,
  XDPSINK_BUCKETS = 40 * XDPSINK_PARTS,
};

static inline __u32 latency_bucket(__u64 ns) {
  __u64 rest = ns;
  __u32 log2 = 0;
  if (ns < XDPSINK_PARTS) return (__u32)ns;
  if (rest >> 32) log2 += 32, rest >>= 32;
  if (rest >> 16) log2 += 16, rest >>= 16;
  if (rest >> 8) log2 += 8, rest >>= 8;
  if (rest >> 4) log2 += 4, rest >>= 4;
  if (rest >> 2) log2 += 2, rest >>= 2;
  if (rest >> 1) log2 += 1;
  {
    const __u32 part = (__u32)(ns >> (log2 - XDPSINK_PART_BITS)) & (XDPSINK_PARTS - 1);
    const __u32 bucket = (log2 - XDPSINK_PART_BITS + 1) * XDPSINK_PARTS + part;
    return bucket < XDPSINK_BUCKETS ? bucket : XDPSINK_BUCKETS - 1;
  }
}

/* Value of xdpsink_counts (array, mmapable): one entry a CPU, written by the program there. Each packet is judged by
 * all that it is told: one may count as wrong in several ways. */
struct xdpsink_counts {
  __u64 packets; /* that carry a stamp */
  __u64 bytes;
  __u64 foreign;         /* packets without one: passed on */
  __u64 bad_destination; /* not the MAC of a target */
  __u64 bad_source;
  __u64 bad_checksum;   /* headers or stamp changed */
  __u64 bad_payload;    /* the pattern changed */
  __u64 verified;       /* packets whose pattern was checked */
  __u64 out_of_order;   /* not later in its flow than what had come: overtaken, or twice */
  __u64 gaps;           /* packets missing between those that came */
  __u64 unknown_flow;   /* a number beyond PACKET_FLOWS_MAX */
  __u64 untimed;        /* packets since the last whose time was taken */
  __u64 by_target[256]; /* by the last byte of the destination */
  __u64 latency[XDPSINK_BUCKETS];
};

#endif
