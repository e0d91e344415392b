#include "user/net/mac.h"

#include <charconv>

namespace xdplb {

Result<MacAddr> parse_mac(std::string_view text) {
  const Error error = fail("Parse MAC failed [{}]", text);
  MacAddr mac;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (size_t i = 0; i < mac.bytes.size(); ++i) {
    if (i > 0 && (at == end || *at++ != ':')) return error;
    // Of an unsigned type from_chars takes neither sign nor "0x", and it refuses what does not fit a byte; "001"
    // would pass.
    const auto [next, status] = std::from_chars(at, end, mac.bytes[i], 16);
    if (status != std::errc{} || next - at > 2) return error;
    at = next;
  }
  if (at != end) return error;
  return mac;
}

std::string to_string(const MacAddr& mac) {
  const auto& b = mac.bytes;
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", b[0], b[1], b[2], b[3], b[4], b[5]);
}

}  // namespace xdplb
