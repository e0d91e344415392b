#include "user/net/ip.h"

#include <arpa/inet.h>

#include <charconv>
#include <iterator>
#include <optional>

namespace xdplb {
namespace {

constexpr size_t kGroups = 8;

// inet_pton wants a terminated string; none that is longer than the buffer can be an address.
std::optional<IpAddr> address_of(std::string_view text) {
  char terminated[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof terminated || text.find('\0') != std::string_view::npos) return std::nullopt;
  std::memcpy(terminated, text.data(), text.size());
  terminated[text.size()] = '\0';
  uint8_t wire[16];
  if (inet_pton(AF_INET, terminated, wire) == 1) return IpAddr::v4(wire);
  if (inet_pton(AF_INET6, terminated, wire) == 1) return IpAddr::v6(wire);
  return std::nullopt;
}

// Bits as written after the slash: decimal, no sign, no leading zero.
std::optional<uint32_t> bits_of(std::string_view text, uint32_t max) {
  uint32_t bits = 0;
  const char* const end = text.data() + text.size();
  const auto [next, status] = std::from_chars(text.data(), end, bits);
  if (status != std::errc{} || next != end || bits > max) return std::nullopt;
  if (text.size() > 1 && text[0] == '0') return std::nullopt;
  return bits;
}

IpAddr masked(const IpAddr& addr, uint32_t len) {
  IpAddr out;
  const uint32_t whole = len / 8;
  std::memcpy(out.bytes.data(), addr.bytes.data(), whole);
  if (len % 8 != 0) out.bytes[whole] = static_cast<uint8_t>(addr.bytes[whole] & (0xff00u >> (len % 8)));
  return out;
}

// The longest run of at least two zero groups, the first of equals: what "::" replaces (RFC 5952, 4.2).
struct ZeroRun {
  size_t begin = kGroups;
  size_t len = 1;
};

ZeroRun longest_zero_run(const uint16_t (&groups)[kGroups]) {
  ZeroRun best;
  for (size_t i = 0; i < kGroups;) {
    size_t end = i;
    while (end < kGroups && groups[end] == 0) ++end;
    if (end - i > best.len) best = {i, end - i};
    i = end + 1;
  }
  return best;
}

std::string v6_text(const IpAddr& addr) {
  uint16_t groups[kGroups];
  for (size_t i = 0; i < kGroups; ++i)
    groups[i] = static_cast<uint16_t>(addr.bytes[2 * i] << 8 | addr.bytes[2 * i + 1]);
  const ZeroRun run = longest_zero_run(groups);
  std::string text;
  for (size_t i = 0; i < kGroups;) {
    if (i == run.begin) {
      text += "::";
      i += run.len;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    fmt::format_to(std::back_inserter(text), "{:x}", groups[i]);
    ++i;
  }
  return text;
}

}  // namespace

bool IpPrefix::contains(const IpAddr& a) const {
  return masked(a, len) == addr;
}

Result<IpAddr> parse_ip(std::string_view text) {
  const auto addr = address_of(text);
  if (!addr) return fail("\"{}\" is not an address", text);
  return *addr;
}

Result<IpPrefix> parse_prefix(std::string_view text) {
  const size_t slash = text.find('/');
  const auto addr = address_of(text.substr(0, slash));
  if (!addr) return fail("\"{}\" is not an address or prefix", text);
  if (slash == std::string_view::npos) return IpPrefix{*addr, 128};

  // "::ffff:10.0.0.0/120" is written as IPv6 and counts the bits so, though the address is an IPv4 one.
  const bool dotted = text.find(':') == std::string_view::npos;
  const auto bits = bits_of(text.substr(slash + 1), dotted ? 32 : 128);
  if (!bits) return fail("\"{}\" is not an address or prefix", text);
  const uint32_t len = *bits + (dotted ? kV4PrefixBits : 0);
  const IpPrefix prefix{masked(*addr, len), static_cast<uint8_t>(len)};
  if (prefix.addr != *addr)
    return fail("\"{}\" has bits set beyond its length; the prefix is {}", text, to_string(prefix));
  return prefix;
}

std::string to_string(const IpAddr& addr) {
  const auto& b = addr.bytes;
  if (addr.is_v4()) return fmt::format("{}.{}.{}.{}", b[12], b[13], b[14], b[15]);
  return v6_text(addr);
}

std::string to_string(const IpPrefix& prefix) {
  // A prefix shorter than ::ffff:0:0/96 has zeros where is_v4() looks for ones.
  const uint32_t bits = prefix.addr.is_v4() ? prefix.len - kV4PrefixBits : prefix.len;
  return fmt::format("{}/{}", to_string(prefix.addr), bits);
}

}  // namespace xdplb
