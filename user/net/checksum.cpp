#include "user/net/checksum.h"

#include <array>
#include <cstring>

#include "user/base/endian.h"
#include "user/net/headers.h"

namespace xdplb {
namespace {

uint16_t fold(uint64_t sum) {
  sum = (sum >> 32) + (sum & 0xffffffff);
  sum = (sum >> 32) + (sum & 0xffffffff);
  sum = (sum >> 16) + (sum & 0xffff);
  sum = (sum >> 16) + (sum & 0xffff);
  return static_cast<uint16_t>(sum);
}

// Sums 32-bit words as they lie in memory: the order of bytes does not matter until the end (RFC 1071, 2 (B)). The
// loop has no carry to hand on, so the compiler makes vectors of it.
uint64_t sum_of_words(const uint8_t* bytes, size_t words) {
  uint64_t sum = 0;
  for (size_t i = 0; i < words; ++i) {
    uint32_t word;
    std::memcpy(&word, bytes + i * sizeof word, sizeof word);
    sum += word;
  }
  return sum;
}

// Addresses, protocol and length as TCP and UDP count them in. The two addresses lie side by side in the key; the
// ff:ff that an IPv4 one brings along is the zero of ones'-complement arithmetic.
uint16_t pseudo_header_sum(const PacketInfo& info, uint32_t l4_len) {
  static_assert(offsetof(FlowKey, src) == 0 && offsetof(FlowKey, dst) == sizeof(IpAddr));
  std::array<uint64_t, 4> words;
  std::memcpy(words.data(), &info.key, sizeof words);
  uint64_t sum = 0;
  for (const uint64_t word : words) sum += (word >> 32) + (word & 0xffffffff);
  return fold(uint64_t{swap16(fold(sum))} + info.key.protocol + l4_len);
}

// Where the checksum lies in the transport header and how many bytes it covers; covered 0: not for us.
struct Covered {
  uint32_t field;
  uint32_t len;
};

Covered covered_by(std::span<const uint8_t> packet, const PacketInfo& info) {
  if (info.kind != PacketKind::transport) return {0, 0};
  if (info.key.protocol == kProtoTcp)
    return {offsetof(TcpHeader, checksum), static_cast<uint32_t>(packet.size()) - info.l4_offset};
  if (info.key.protocol == kProtoUdp)
    return {offsetof(UdpHeader, checksum), header_at<UdpHeader>(packet, info.l4_offset).len.get()};
  return {0, 0};
}

}  // namespace

uint16_t checksum_fold(std::span<const uint8_t> bytes, uint32_t initial) {
  const size_t words = bytes.size() / sizeof(uint32_t);
  uint64_t sum = sum_of_words(bytes.data(), words);
  if (const size_t rest = bytes.size() % sizeof(uint32_t); rest != 0) {
    uint32_t word = 0;
    std::memcpy(&word, bytes.data() + words * sizeof word, rest);
    sum += word;
  }
  return fold(uint64_t{swap16(fold(sum))} + initial);
}

bool complete_checksum(std::span<uint8_t> frame, const PacketInfo& info) {
  XDPLB_DCHECK(info.packet_len <= frame.size());
  const std::span<uint8_t> packet = frame.first(info.packet_len);
  const Covered covered = covered_by(packet, info);
  if (covered.len == 0) return false;
  const std::span<uint8_t> l4 = packet.subspan(info.l4_offset, covered.len);
  Be16 field;
  std::memcpy(&field, l4.data() + covered.field, sizeof field);
  if (field.get() != pseudo_header_sum(info, covered.len)) return false;

  // The field takes part in the sum with the pseudo-header's share that it holds. Zero is written as all ones, as
  // the kernel does: for UDP zero would mean "none", for TCP the two are the same number.
  const auto checksum = static_cast<uint16_t>(~checksum_fold(l4));
  field.set(checksum == 0 ? uint16_t{0xffff} : checksum);
  std::memcpy(l4.data() + covered.field, &field, sizeof field);
  return true;
}

}  // namespace xdplb
