#include "user/net/checksum.h"

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

void write_whole_checksum(std::span<uint8_t> frame, const PacketInfo& info) {
  XDPLB_DCHECK(info.packet_len <= frame.size());
  const CoveredByChecksum covered = covered_by_checksum(frame.data(), info);
  const std::span<uint8_t> l4 = frame.first(info.packet_len).subspan(info.l4_offset, covered.len);
  // The field takes part in the sum with the pseudo-header's share that it holds. Zero is written as all ones, as
  // the kernel does: for UDP zero would mean "none", for TCP the two are the same number.
  const auto checksum = static_cast<uint16_t>(~checksum_fold(l4));
  Be16 field;
  field.set(checksum == 0 ? uint16_t{0xffff} : checksum);
  std::memcpy(l4.data() + covered.field, &field, sizeof field);
}

}  // namespace xdplb
