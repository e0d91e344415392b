// IpAddr and IpPrefix: IPv4 and IPv6 alike, as sixteen bytes in network order; IPv4 is ::ffff:a.b.c.d, as in the
// key of xdp_vip_map.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "user/base/result.h"

namespace xdplb {

inline constexpr uint32_t kV4PrefixBits = 96;  // the bits of ::ffff:0:0/96

struct IpAddr {
  std::array<uint8_t, 16> bytes{};

  // From the four bytes of an IPv4 header, network order. Made of two words, since sixteen bytes that are read back
  // right after they were written one by one stall the pipeline (10 ns a packet in parse_bench).
  static IpAddr v4(const void* wire_bytes) {
    uint32_t wire;
    std::memcpy(&wire, wire_bytes, sizeof wire);
    return std::bit_cast<IpAddr>(Words{0, uint64_t{wire} << 32 | kMappedMark});
  }
  static IpAddr v6(const void* wire_bytes) {
    IpAddr a;
    std::memcpy(a.bytes.data(), wire_bytes, 16);
    return a;
  }

  [[nodiscard]] bool is_v4() const {
    const auto words = std::bit_cast<Words>(bytes);
    return words[0] == 0 && static_cast<uint32_t>(words[1]) == kMappedMark;
  }

  friend auto operator<=>(const IpAddr&, const IpAddr&) = default;

 private:
  // As the (little-endian, base/endian.h) host sees the sixteen bytes: ff:ff lies in bytes 10 and 11.
  using Words = std::array<uint64_t, 2>;
  static constexpr uint32_t kMappedMark = 0xffff0000;
};
static_assert(sizeof(IpAddr) == 16 && alignof(IpAddr) == 1);

// len counts bits of the sixteen bytes: 10.0.0.0/24 has len 120. Bits beyond len are zero.
struct IpPrefix {
  IpAddr addr;
  uint8_t len = 128;

  [[nodiscard]] bool is_host() const { return len == 128; }
  [[nodiscard]] bool contains(const IpAddr& a) const;

  friend auto operator<=>(const IpPrefix&, const IpPrefix&) = default;
};
static_assert(sizeof(IpPrefix) == 17 && alignof(IpPrefix) == 1);

// "10.0.0.1", "1000::1". Error: "... is not an address".
Result<IpAddr> parse_ip(std::string_view text);
// "10.0.0.0/24", "1000::/64", or an address alone. Host bits that are set are an error that names the prefix meant.
// Error: "\"10.0.0.300/32\" is not an address or prefix".
Result<IpPrefix> parse_prefix(std::string_view text);

std::string to_string(const IpAddr& addr);      // IPv4 dotted, IPv6 by RFC 5952
std::string to_string(const IpPrefix& prefix);  // always with its length: "10.0.0.0/32"

}  // namespace xdplb
