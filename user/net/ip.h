// IpAddr and IpPrefix: IPv4 and IPv6 alike, as sixteen bytes in network order; IPv4 is ::ffff:a.b.c.d, as in the
// key of xdp_vip_map.
#pragma once

#include <array>
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

  // From the four bytes of an IPv4 header, network order.
  static IpAddr v4(const void* wire_bytes) {
    IpAddr a;
    a.bytes[10] = a.bytes[11] = 0xff;
    std::memcpy(a.bytes.data() + 12, wire_bytes, 4);
    return a;
  }
  static IpAddr v6(const void* wire_bytes) {
    IpAddr a;
    std::memcpy(a.bytes.data(), wire_bytes, 16);
    return a;
  }

  [[nodiscard]] bool is_v4() const {
    static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return std::memcmp(bytes.data(), kMapped, sizeof kMapped) == 0;
  }

  friend auto operator<=>(const IpAddr&, const IpAddr&) = default;
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
