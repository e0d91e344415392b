#include "tests/support/packet.h"

#include <cctype>

namespace xdplb::test {
namespace {

uint8_t low(unsigned value) {
  return static_cast<uint8_t>(value & 0xff);
}

unsigned nibble(char c) {
  return c <= '9' ? static_cast<unsigned>(c - '0') : static_cast<unsigned>(std::tolower(c) - 'a' + 10);
}

// Word by word, as RFC 1071 tells it.
unsigned internet_checksum(std::span<const uint8_t> bytes) {
  unsigned long sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 2)
    sum += static_cast<unsigned long>(bytes[i] << 8) + (i + 1 < bytes.size() ? bytes[i + 1] : 0u);
  while (sum >> 16 != 0) sum = (sum >> 16) + (sum & 0xffff);
  return static_cast<unsigned>(~sum & 0xffff);
}

}  // namespace

const Bytes kClient4 = {192, 0, 2, 1}, kVip4 = {10, 0, 0, 0};
const Bytes kClient6 = hex("20010db8 00000000 00000000 00000001"), kVip6 = hex("10000000 00000000 00000000 00000000");

Bytes operator+(const Bytes& a, const Bytes& b) {
  Bytes out = a;
  out.insert(out.end(), b.begin(), b.end());
  return out;
}

Bytes hex(std::string_view text) {
  Bytes out;
  bool upper = true;
  for (const char c : text) {
    if (c == ' ') continue;
    if (upper)
      out.push_back(low(nibble(c) << 4));
    else
      out.back() = low(out.back() | nibble(c));
    upper = !upper;
  }
  return out;
}

Bytes be16(unsigned value) {
  return {low(value >> 8), low(value)};
}

Bytes be32(unsigned value) {
  return be16(value >> 16) + be16(value & 0xffff);
}

Bytes fill(size_t count, unsigned value) {
  return Bytes(count, low(value));
}

Bytes ether(unsigned type) {
  return hex("0200000000aa 0200000000bb") + be16(type);
}

Bytes vlan(unsigned type, unsigned id) {
  return be16(id) + be16(type);
}

Bytes ipv4(unsigned protocol, const Bytes& payload, const Ipv4Options& o) {
  const auto header_len = static_cast<unsigned>(20 + o.options.size());
  const auto total = o.total_len < 0 ? static_cast<unsigned>(header_len + payload.size()) : unsigned(o.total_len);
  Bytes header = Bytes{low(0x40 | header_len / 4), 0} + be16(total) + be16(o.id) + be16(o.fragment) +
                 Bytes{low(o.ttl), low(protocol), 0, 0} + o.src + o.dst + o.options;
  const unsigned sum = o.checksum < 0 ? internet_checksum(header) : static_cast<unsigned>(o.checksum);
  header[10] = low(sum >> 8);
  header[11] = low(sum);
  return header + payload;
}

Bytes ipv6(unsigned next_header, const Bytes& payload, const Ipv6Options& o) {
  const auto len = o.payload_len < 0 ? static_cast<unsigned>(payload.size()) : unsigned(o.payload_len);
  return hex("60000000") + be16(len) + Bytes{low(next_header), low(o.hop_limit)} + o.src + o.dst + payload;
}

Bytes extension(unsigned next_header, unsigned len) {
  return Bytes{low(next_header), low(len)} + fill((len + 1) * 8 - 2);
}

Bytes fragment6(unsigned next_header, unsigned offset_flags, unsigned id) {
  return Bytes{low(next_header), 0} + be16(offset_flags) + be32(id);
}

Bytes udp(unsigned src_port, unsigned dst_port, const Bytes& payload, int len) {
  const auto udp_len = len < 0 ? static_cast<unsigned>(8 + payload.size()) : static_cast<unsigned>(len);
  return be16(src_port) + be16(dst_port) + be16(udp_len) + be16(0xbeef) + payload;
}

Bytes udp_fragment(unsigned id, unsigned offset, unsigned src_port) {
  Ipv4Options options;
  options.id = id;
  options.fragment = offset == 0 ? 0x2000 : offset;
  return ether(0x0800) + ipv4(17, udp(src_port, 53, fill(24)), options);
}

Bytes tcp(unsigned src_port, unsigned dst_port, unsigned flags, const Bytes& payload) {
  return be16(src_port) + be16(dst_port) + be32(1) + be32(2) + Bytes{0x50, low(flags)} + be16(1024) + be16(0xbeef) +
         be16(0) + payload;
}

Bytes icmp(unsigned type, unsigned code, const Bytes& rest) {
  return Bytes{low(type), low(code)} + be16(0xbeef) + rest;
}

void repair_ipv4_checksum(std::span<uint8_t> frame) {
  size_t type = 12;
  const auto type_is = [&](uint8_t high, uint8_t low) {
    return frame.size() >= type + 2 && frame[type] == high && frame[type + 1] == low;
  };
  while (type < 20 && (type_is(0x81, 0x00) || type_is(0x88, 0xa8))) type += 4;
  if (!type_is(0x08, 0x00) || frame.size() < type + 2 + 20) return;
  const size_t header_len = (frame[type + 2] & 15u) * 4;
  if (header_len < 20 || frame.size() < type + 2 + header_len) return;
  const std::span<uint8_t> header = frame.subspan(type + 2, header_len);
  header[10] = header[11] = 0;
  const unsigned sum = internet_checksum(header);
  header[10] = low(sum >> 8);
  header[11] = low(sum);
}

}  // namespace xdplb::test
