#include "user/ctl/hex.h"

#include <charconv>

namespace xdplb {

std::string to_hex(const std::vector<uint8_t>& bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

Result<std::vector<uint8_t>> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return fail("an odd number of hexadecimal digits");
  std::vector<uint8_t> bytes(text.size() / 2);
  for (size_t i = 0; i < bytes.size(); ++i) {
    const char* digits = text.data() + 2 * i;
    const auto [rest, error] = std::from_chars(digits, digits + 2, bytes[i], 16);
    if (error != std::errc{} || rest != digits + 2) return fail("not hexadecimal digits");
  }
  return bytes;
}

}  // namespace xdplb
