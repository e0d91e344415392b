#include "tools/common/go_format.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

namespace xdplb::tools {
namespace {

std::string shortest(double value, std::chars_format format) {
  std::array<char, 400> text;  // the longest fixed double has 309 digits before the point
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value, format);
  return error == std::errc() ? std::string(text.data(), end) : std::string();
}

std::string shortest(double value, double exponent_below) {
  const double size = std::fabs(value);
  const bool scientific = size != 0 && (size < exponent_below || size >= 1e21);
  return shortest(value, scientific ? std::chars_format::scientific : std::chars_format::fixed);
}

// The length of the UTF-8 sequence at the front of `text`, 0 where there is none. Overlong forms, surrogates and
// what lies beyond U+10FFFF are no UTF-8 (RFC 3629).
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  if (lead == 0xe0 && byte(1) < 0xa0) return 0;
  if (lead == 0xed && byte(1) > 0x9f) return 0;
  if (lead == 0xf0 && byte(1) < 0x90) return 0;
  if (lead == 0xf4 && byte(1) > 0x8f) return 0;
  return length;
}

void append_ascii(std::string& out, char c) {
  switch (c) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    default: break;
  }
  if (c < 0x20 || c == '<' || c == '>' || c == '&' || c == 0x7f) {
    out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
  } else {
    out += c;
  }
}

}  // namespace

std::string print_float(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return shortest(value, 1e-4);
}

std::string json_float(double value) {
  std::string text = shortest(value, 1e-6);
  // encoding/json shortens e-09 to e-9, and only there.
  const size_t n = text.size();
  if (n >= 4 && text[n - 4] == 'e' && text[n - 3] == '-' && text[n - 2] == '0') text.erase(n - 2, 1);
  return text;
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    if (length == 1) {
      append_ascii(out, text.front());
    } else if (length == 0) {
      out += "\\ufffd";
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out + '"';
}

std::string rfc3339(const timespec& time) {
  tm local{};
  localtime_r(&time.tv_sec, &local);
  std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", local.tm_year + 1900, local.tm_mon + 1,
                                 local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec);
  if (time.tv_nsec != 0) {
    text += fmt::format(".{:09}", time.tv_nsec);
    text.erase(text.find_last_not_of('0') + 1);
  }
  if (local.tm_gmtoff == 0) return text + 'Z';
  const long offset_min = std::labs(local.tm_gmtoff) / 60;
  return text + fmt::format("{}{:02}:{:02}", local.tm_gmtoff < 0 ? '-' : '+', offset_min / 60, offset_min % 60);
}

double seconds(int64_t ns) {
  constexpr int64_t kNs = 1'000'000'000;
  const int64_t whole = ns / kNs;
  return static_cast<double>(whole) + static_cast<double>(ns % kNs) / 1e9;
}

}  // namespace xdplb::tools
