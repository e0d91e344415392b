// Frames for the tests of the kernel programs and their classifier, in a header alone; for the parser and the workers
// there is packet.h. Built inside out: every function puts one header before the bytes it is given, so a test reads
// like the packet:
//
//   ether(kVlan, tag(kIpv4, ipv4("10.0.0.0", kTcp, transport(80))))
//
// Lengths and the IPv4 checksum are right, so that what a test breaks is the only thing broken. Shares no code with
// what it tests.
#pragma once

#include <arpa/inet.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace xdplb::frames {

using Bytes = std::vector<uint8_t>;

inline constexpr uint16_t kIpv4 = 0x0800, kIpv6 = 0x86dd, kVlan = 0x8100, kQinQ = 0x88a8, kArp = 0x0806;
inline constexpr uint8_t kHopByHop = 0, kIcmp = 1, kTcp = 6, kUdp = 17, kRouting = 43, kFragment = 44, kEsp = 50,
                         kAh = 51, kIcmpv6 = 58, kNoNext = 59, kDestination = 60, kSctp = 132;

inline Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline Bytes be16(uint32_t v) {
  return {static_cast<uint8_t>(v >> 8), static_cast<uint8_t>(v)};
}

inline Bytes address(int family, const std::string& text) {
  Bytes bytes(family == AF_INET ? 4 : 16);
  if (inet_pton(family, text.c_str(), bytes.data()) != 1) throw std::invalid_argument(text);
  return bytes;
}

// The sixteen bytes of a map key.
inline Bytes vip_key(const std::string& text) {
  if (text.find(':') != std::string::npos) return address(AF_INET6, text);
  return Bytes{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff} + address(AF_INET, text);
}

inline Bytes ether(uint16_t type, const Bytes& rest) {
  return Bytes{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2} + be16(type) + rest;
}

inline Bytes tag(uint16_t inner_type, const Bytes& rest) {
  return be16(42) + be16(inner_type) + rest;
}

// fragment_field: flags and offset as on the wire.
inline Bytes ipv4(const std::string& dst, uint8_t protocol, const Bytes& rest, size_t option_words = 0,
                  uint16_t fragment_field = 0) {
  const size_t header_bytes = 20 + option_words * 4;
  Bytes header = Bytes{static_cast<uint8_t>(0x40 | header_bytes / 4), 0} +
                 be16(static_cast<uint32_t>(header_bytes + rest.size())) + be16(0x1234) + be16(fragment_field) +
                 Bytes{64, protocol, 0, 0} + address(AF_INET, "192.0.2.1") + address(AF_INET, dst) +
                 Bytes(option_words * 4, 1);  // no-operation options
  uint32_t sum = 0;
  for (size_t i = 0; i < header.size(); i += 2) sum += static_cast<uint32_t>(header[i] << 8 | header[i + 1]);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  header[10] = static_cast<uint8_t>(~sum >> 8);
  header[11] = static_cast<uint8_t>(~sum);
  return header + rest;
}

inline Bytes ipv6(const std::string& dst, uint8_t next, const Bytes& rest) {
  return Bytes{0x60, 0, 0, 0} + be16(static_cast<uint32_t>(rest.size())) + Bytes{next, 64} +
         address(AF_INET6, "2001:db8::1") + address(AF_INET6, dst) + rest;
}

// Hop-by-hop, routing or destination options of (units + 1) * 8 bytes.
inline Bytes extension(uint8_t next, uint8_t units, const Bytes& rest) {
  Bytes header((units + 1u) * 8);
  header[0] = next;
  header[1] = units;
  return header + rest;
}

// Authentication header of (words + 2) * 4 bytes.
inline Bytes authentication(uint8_t next, uint8_t words, const Bytes& rest) {
  Bytes header((words + 2u) * 4);
  header[0] = next;
  header[1] = words;
  return header + rest;
}

// offset_and_more: as on the wire, the offset in the upper 13 bits, "more" in the lowest.
inline Bytes fragment(uint8_t next, uint16_t offset_and_more, const Bytes& rest) {
  return Bytes{next, 0} + be16(offset_and_more) + Bytes{0, 0, 0, 7} + rest;
}

// A TCP header without flags; long enough for UDP and SCTP, too.
inline Bytes transport(uint16_t dst_port) {
  Bytes header = be16(40000) + be16(dst_port) + Bytes(16, 0);
  header[12] = 0x50;
  return header;
}

inline Bytes icmp(uint8_t type) {
  return Bytes{type, 0, 0, 0, 0, 1, 0, 1};
}

}  // namespace xdplb::frames
