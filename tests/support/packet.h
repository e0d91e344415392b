// Packets for the tests of the parser and of what workers do, put together from byte strings:
// ether(0x0800) + ipv4(17, udp(1000, 53)). Every field can be set, and set wrongly. Written without the code under
// test: sums and lengths are computed here, plainly. For the kernel programs, which look at addresses and chains of
// headers, there is frame_builder.h.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace xdplb::test {

using Bytes = std::vector<uint8_t>;

Bytes operator+(const Bytes& a, const Bytes& b);
// "45 00 001c": hexadecimal digits in pairs, blanks anywhere between.
Bytes hex(std::string_view text);
Bytes be16(unsigned value);
Bytes be32(unsigned value);
Bytes fill(size_t count, unsigned value = 0);

Bytes ether(unsigned type);
Bytes vlan(unsigned type, unsigned id = 5);

// The bytes of 192.0.2.1 and 10.0.0.0, of 2001:db8::1 and 1000::
extern const Bytes kClient4, kVip4, kClient6, kVip6;

struct Ipv4Options {
  Bytes src = kClient4, dst = kVip4;
  unsigned fragment = 0;  // flags and offset, as on the wire
  unsigned id = 0x1234;
  unsigned ttl = 64;
  Bytes options = {};  // multiple of four bytes
  int total_len = -1;  // -1: what it is
  int checksum = -1;   // -1: the right one
};
Bytes ipv4(unsigned protocol, const Bytes& payload, const Ipv4Options& options = {});

struct Ipv6Options {
  Bytes src = kClient6, dst = kVip6;
  unsigned hop_limit = 64;
  int payload_len = -1;
};
Bytes ipv6(unsigned next_header, const Bytes& payload, const Ipv6Options& options = {});
// An extension header of (len + 1) * 8 bytes, and the fragment header.
Bytes extension(unsigned next_header, unsigned len = 0);
Bytes fragment6(unsigned next_header, unsigned offset_flags, unsigned id = 0xabcdef01);

Bytes udp(unsigned src_port, unsigned dst_port, const Bytes& payload = {}, int len = -1);
// A fragment of the datagram `id` from kClient4 to port 53 of kVip4: the first, or one `offset` times eight bytes in.
Bytes udp_fragment(unsigned id, unsigned offset, unsigned src_port = 4000);
Bytes tcp(unsigned src_port, unsigned dst_port, unsigned flags = 0x10, const Bytes& payload = {});
Bytes icmp(unsigned type, unsigned code, const Bytes& rest);  // rest: from the fifth byte on

// Makes the IPv4 header checksum right where there is an untagged or tagged IPv4 header of a possible length, so that
// changed bytes are judged for what they say.
void repair_ipv4_checksum(std::span<uint8_t> frame);

// The same bytes in an allocation of just their size, so that AddressSanitizer sees a read beyond.
class ExactBytes {
 public:
  explicit ExactBytes(std::span<const uint8_t> bytes) : size_(bytes.size()), data_(new uint8_t[bytes.size()]) {
    if (!bytes.empty()) std::memcpy(data_.get(), bytes.data(), bytes.size());
  }
  [[nodiscard]] std::span<uint8_t> span() const { return {data_.get(), size_}; }

 private:
  size_t size_;
  std::unique_ptr<uint8_t[]> data_;
};

}  // namespace xdplb::test
