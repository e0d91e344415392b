/* Words of packets and their one's complement sums, for the kernel programs of xdpgen and xdpsink. Words are taken as
 * they lie, aligned or not: such a sum is the same in either byte order, and in pieces of any size. */
#ifndef XDPLB_TOOLS_PACKETS_CHECKSUM_H
#define XDPLB_TOOLS_PACKETS_CHECKSUM_H

#include <linux/types.h>

static inline __attribute__((always_inline)) __u64 load16(const void* at) {
  return *(const __u16*)at;
}
static inline __attribute__((always_inline)) __u64 load32(const void* at) {
  return *(const __u32*)at;
}
static inline __attribute__((always_inline)) __u64 load64(const void* at) {
  return *(const __u64*)at;
}
static inline __attribute__((always_inline)) __u64 sum64(__u64 value) {
  return (value & 0xffffffff) + (value >> 32);
}

/* For sums below 2^48. */
static inline __attribute__((always_inline)) __u16 fold(__u64 sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return (__u16)((sum & 0xffff) + (sum >> 16));
}

#endif
