// Integers in network byte order, as types: a wire field cannot be used as a number by accident.
//
// They are plain bytes in memory (alignment 1), so a header struct made of them may lie anywhere in a packet.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace xdplb {

static_assert(std::endian::native == std::endian::little, "byte swaps below assume a little-endian host");

template <typename Int, Int (*swap)(Int)>
class BigEndian {
 public:
  BigEndian() = default;
  explicit BigEndian(Int host) { set(host); }

  [[nodiscard]] Int get() const {
    Int raw;
    std::memcpy(&raw, bytes_, sizeof raw);
    return swap(raw);
  }
  // Whether one of these bits is set. The mask is what is swapped, which costs nothing where it is a constant.
  [[nodiscard]] bool has_any(Int bits) const {
    Int raw;
    std::memcpy(&raw, bytes_, sizeof raw);
    return (raw & swap(bits)) != 0;
  }
  void set(Int host) {
    const Int raw = swap(host);
    std::memcpy(bytes_, &raw, sizeof raw);
  }
  friend bool operator==(const BigEndian& a, const BigEndian& b) {
    return std::memcmp(a.bytes_, b.bytes_, sizeof a.bytes_) == 0;
  }

 private:
  unsigned char bytes_[sizeof(Int)] = {};
};

inline uint16_t swap16(uint16_t v) {
  return __builtin_bswap16(v);
}
inline uint32_t swap32(uint32_t v) {
  return __builtin_bswap32(v);
}

using Be16 = BigEndian<uint16_t, swap16>;
using Be32 = BigEndian<uint32_t, swap32>;
static_assert(sizeof(Be16) == 2 && alignof(Be16) == 1);
static_assert(sizeof(Be32) == 4 && alignof(Be32) == 1);

}  // namespace xdplb
