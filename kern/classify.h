/* "Is it ours?", the part that reads headers: from a frame to the destination, protocol and port by which the VIP
 * maps are asked. Pure and inline; compiled into xdp_vip and, unchanged, into the unit tests and fuzzers.
 *
 * Hostile input: every read is behind xdplb_has(), every loop is bounded. What user/net/parse.h says of a well-formed
 * packet's destination, protocol and port is the same.
 *
 * A frame whose destination cannot be read (not IP, truncated, a header length below the minimum) is nobody's. Where
 * the destination is clear and only what follows is broken, the frame is the VIP's: XDPLB_PACKET_BROKEN, for user
 * space to drop and count. */
#ifndef XDPLB_KERN_CLASSIFY_H
#define XDPLB_KERN_CLASSIFY_H

#include <linux/types.h>

#include "kern/abi.h"

#define XDPLB_INLINE static inline __attribute__((always_inline))
/* Unrolled, the walk over extension headers costs the verifier a quarter of the steps. */
#ifdef __bpf__
#define XDPLB_UNROLL _Pragma("clang loop unroll(full)")
#else
#define XDPLB_UNROLL
#endif

enum {
  XDPLB_ETHERTYPE_IPV4 = 0x0800,
  XDPLB_ETHERTYPE_IPV6 = 0x86dd,
  XDPLB_ETHERTYPE_VLAN = 0x8100, /* 802.1Q */
  XDPLB_ETHERTYPE_QINQ = 0x88a8, /* 802.1ad, the outer tag */
  XDPLB_MAX_VLAN_TAGS = 2,

  XDPLB_PROTO_HOP_BY_HOP = 0,
  XDPLB_PROTO_ICMP = 1,
  XDPLB_PROTO_TCP = 6,
  XDPLB_PROTO_UDP = 17,
  XDPLB_PROTO_ROUTING = 43,
  XDPLB_PROTO_FRAGMENT = 44,
  XDPLB_PROTO_AUTHENTICATION = 51, /* an extension header in IPv6, a protocol in IPv4 */
  XDPLB_PROTO_ICMPV6 = 58,
  XDPLB_PROTO_DESTINATION_OPTIONS = 60,
  XDPLB_PROTO_SCTP = 132,
  XDPLB_PROTO_MOBILITY = 135,
  XDPLB_PROTO_HIP = 139,
  XDPLB_PROTO_SHIM6 = 140,

  XDPLB_ND_FIRST = 133, /* ICMPv6 types: router solicitation ... */
  XDPLB_ND_LAST = 137,  /* ... redirect */
};

/* The third word of an IPv4-mapped address, ::ffff, as it lies in memory. A word and not two bytes: the map hashes
 * words, and a load of what several stores made waits until they have left the core, 6 ns a packet. */
#define XDPLB_MAPPED_WORD 0xffff0000u

enum xdplb_packet_flags {
  XDPLB_PACKET_PORTS = 1,    /* dst_port is valid */
  XDPLB_PACKET_FRAGMENT = 2, /* any fragment, the first included: nothing after the IP headers was read */
  XDPLB_PACKET_ICMP = 4,     /* ICMP in IPv4 or ICMPv6 in IPv6 */
  XDPLB_PACKET_ND = 8,       /* ... of a type that the host's own neighbour discovery needs */
  XDPLB_PACKET_BROKEN = 16,  /* extension headers truncated or too many: the protocol is unknown */
};

struct xdplb_packet {
  struct xdplb_addr dst;
  __u16 dst_port; /* host order */
  __u8 protocol;  /* behind any IPv6 extension headers */
  __u8 flags;     /* enum xdplb_packet_flags */
  __u8 reserved[4];
} __attribute__((aligned(8)));

struct xdplb_cursor {
  const __u8* at;
  const __u8* end;
};

/* In this form, pointer plus length against the end, the verifier understands it. */
XDPLB_INLINE int xdplb_has(const struct xdplb_cursor* c, __u32 len_bytes) {
  return c->at + len_bytes <= c->end;
}

XDPLB_INLINE __u16 xdplb_read_be16(const __u8* p) {
  return (__u16)(p[0] << 8 | p[1]);
}

/* Four bytes as they stand in the packet, wherever they lie. BPF allows unaligned loads, but clang emits four loads
 * for a memcpy unless it is told. */
XDPLB_INLINE __u32 xdplb_read_word(const __u8* p) {
#ifdef __bpf__
  return *(const __u32*)p;
#else
  __u32 word;
  __builtin_memcpy(&word, p, sizeof word);
  return word;
#endif
}

XDPLB_INLINE void xdplb_set_addr_word(struct xdplb_packet* packet, __u64 index, __u32 word) {
  __builtin_memcpy(packet->dst.bytes + index * 4, &word, sizeof word);
}

/* Goes past the Ethernet header and its VLAN tags. Returns the EtherType, 0 where the frame ends first. */
XDPLB_INLINE __u16 xdplb_skip_link(struct xdplb_cursor* c) {
  __u16 type;
  int tags;
  if (!xdplb_has(c, 14)) return 0;
  type = xdplb_read_be16(c->at + 12);
  c->at += 14;
  for (tags = 0; tags < XDPLB_MAX_VLAN_TAGS; tags++) {
    if (type != XDPLB_ETHERTYPE_VLAN && type != XDPLB_ETHERTYPE_QINQ) break;
    if (!xdplb_has(c, 4)) return 0;
    type = xdplb_read_be16(c->at + 2);
    c->at += 4;
  }
  return type;
}

/* Reads the IPv4 header, leaves the cursor behind it. False where there is none. */
XDPLB_INLINE int xdplb_read_ipv4(struct xdplb_cursor* c, struct xdplb_packet* packet) {
  const __u8* ip = c->at;
  __u32 header_bytes;
  if (!xdplb_has(c, 20)) return 0;
  header_bytes = (ip[0] & 0xfu) * 4;
  if (ip[0] >> 4 != 4 || header_bytes < 20 || !xdplb_has(c, header_bytes)) return 0;
  xdplb_set_addr_word(packet, 2, XDPLB_MAPPED_WORD);
  xdplb_set_addr_word(packet, 3, xdplb_read_word(ip + 16));
  packet->protocol = ip[9];
  if (xdplb_read_be16(ip + 6) & 0x3fff) packet->flags |= XDPLB_PACKET_FRAGMENT; /* offset, more fragments */
  c->at += header_bytes;
  return 1;
}

XDPLB_INLINE int xdplb_is_extension(__u8 protocol) {
  switch (protocol) {
    case XDPLB_PROTO_HOP_BY_HOP:
    case XDPLB_PROTO_ROUTING:
    case XDPLB_PROTO_FRAGMENT:
    case XDPLB_PROTO_AUTHENTICATION:
    case XDPLB_PROTO_DESTINATION_OPTIONS:
    case XDPLB_PROTO_MOBILITY:
    case XDPLB_PROTO_HIP:
    case XDPLB_PROTO_SHIM6: return 1;
    default: return 0;
  }
}

/* Goes past the IPv6 extension headers, the first of which is packet->protocol, to the protocol behind them. Stops at
 * a fragment header, unless it is an atomic fragment (RFC 6946), which is a whole packet. */
XDPLB_INLINE void xdplb_skip_extensions(struct xdplb_cursor* c, struct xdplb_packet* packet) {
  int headers;
  XDPLB_UNROLL
  for (headers = 0; headers <= XDPLB_MAX_EXTENSION_HEADERS; headers++) {
    const __u8* header = c->at;
    const __u8 type = packet->protocol;
    __u32 header_bytes;
    if (!xdplb_is_extension(type)) return;
    if (headers == XDPLB_MAX_EXTENSION_HEADERS || !xdplb_has(c, 8)) break;
    header_bytes = (header[1] + 1u) * 8;
    if (type == XDPLB_PROTO_AUTHENTICATION) header_bytes = (header[1] + 2u) * 4;
    if (type == XDPLB_PROTO_FRAGMENT) header_bytes = 8;
    if (!xdplb_has(c, header_bytes)) break;
    packet->protocol = header[0];
    c->at += header_bytes;
    if (type == XDPLB_PROTO_FRAGMENT && xdplb_read_be16(header + 2) & 0xfff9) {
      packet->flags |= XDPLB_PACKET_FRAGMENT;
      return;
    }
  }
  packet->flags |= XDPLB_PACKET_BROKEN;
}

/* Reads the IPv6 header and its extension headers, leaves the cursor behind them. False where there is none. An IPv6
 * header may not carry an IPv4-mapped destination: it would match an IPv4 VIP. */
XDPLB_INLINE int xdplb_read_ipv6(struct xdplb_cursor* c, struct xdplb_packet* packet) {
  const __u8* ip = c->at;
  __u32 words[4];
  __u64 i;
  if (!xdplb_has(c, 40) || ip[0] >> 4 != 6) return 0;
  for (i = 0; i < 4; i++) {
    words[i] = xdplb_read_word(ip + 24 + i * 4);
    xdplb_set_addr_word(packet, i, words[i]);
  }
  if ((words[0] | words[1]) == 0 && words[2] == XDPLB_MAPPED_WORD) return 0;
  packet->protocol = ip[6];
  c->at += 40;
  xdplb_skip_extensions(c, packet);
  return 1;
}

/* Reads what decides of the transport header: a port, or that it is neighbour discovery. */
XDPLB_INLINE void xdplb_read_transport(const struct xdplb_cursor* c, int is_ipv6, struct xdplb_packet* packet) {
  const __u8 protocol = packet->protocol;
  if (packet->flags & XDPLB_PACKET_BROKEN) return;
  if (protocol == (is_ipv6 ? XDPLB_PROTO_ICMPV6 : XDPLB_PROTO_ICMP)) packet->flags |= XDPLB_PACKET_ICMP;
  if (packet->flags & XDPLB_PACKET_FRAGMENT) return;
  if (protocol == XDPLB_PROTO_TCP || protocol == XDPLB_PROTO_UDP || protocol == XDPLB_PROTO_SCTP) {
    if (!xdplb_has(c, 4)) return;
    packet->dst_port = xdplb_read_be16(c->at + 2);
    packet->flags |= XDPLB_PACKET_PORTS;
  } else if (is_ipv6 && protocol == XDPLB_PROTO_ICMPV6 && xdplb_has(c, 1)) {
    if (c->at[0] >= XDPLB_ND_FIRST && c->at[0] <= XDPLB_ND_LAST) packet->flags |= XDPLB_PACKET_ND;
  }
}

/* Reads the frame between data and data_end, from its Ethernet header on. False where it has no destination that
 * could be a VIP; then the packet is not to be used. */
XDPLB_INLINE int xdplb_classify(const void* data, const void* data_end, struct xdplb_packet* packet) {
  struct xdplb_cursor c = {(const __u8*)data, (const __u8*)data_end};
  const __u16 type = xdplb_skip_link(&c);
  __builtin_memset(packet, 0, sizeof *packet);
  if (type == XDPLB_ETHERTYPE_IPV4) {
    if (!xdplb_read_ipv4(&c, packet)) return 0;
  } else if (type == XDPLB_ETHERTYPE_IPV6) {
    if (!xdplb_read_ipv6(&c, packet)) return 0;
  } else {
    return 0;
  }
  xdplb_read_transport(&c, type == XDPLB_ETHERTYPE_IPV6, packet);
  return 1;
}

#endif
