// MacAddr: an Ethernet address, six bytes in wire order.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "user/base/result.h"

namespace xdplb {

struct MacAddr {
  std::array<uint8_t, 6> bytes{};

  [[nodiscard]] bool is_zero() const { return *this == MacAddr{}; }
  // Broadcast included.
  [[nodiscard]] bool is_multicast() const { return (bytes[0] & 1) != 0; }

  friend auto operator<=>(const MacAddr&, const MacAddr&) = default;
};
static_assert(sizeof(MacAddr) == 6 && alignof(MacAddr) == 1);

// "0:0:0:1:1:1" or "00:00:00:01:01:01": six hexadecimal numbers of one or two digits.
// Error: "Parse MAC failed [zz]".
Result<MacAddr> parse_mac(std::string_view text);

// "00:00:00:01:01:01"
std::string to_string(const MacAddr& mac);

}  // namespace xdplb
