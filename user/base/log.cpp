#include "user/base/log.h"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <ctime>

#include "user/base/clock.h"

namespace xdplb {
namespace {

struct LevelText {
  const char* journal_prefix;
  const char* prefix;
  const char* word;
};

LevelText level_text(LogLevel level) {
  switch (level) {
    case LogLevel::error: return {"<3>", "error: ", "error"};
    case LogLevel::warning: return {"<4>", "warning: ", "warning"};
    case LogLevel::info: return {"<6>", "", "info"};
    case LogLevel::debug: return {"<7>", "debug: ", "debug"};
  }
  return {"", "", ""};
}

// How many bytes of `text` are one character in UTF-8; 0: its first byte begins none.
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const size_t length = byte(0) < 0x80       ? 1
                        : byte(0) >> 5 == 6  ? 2
                        : byte(0) >> 4 == 14 ? 3
                        : byte(0) >> 3 == 30 ? 4
                                             : 0;
  if (length == 0 || length > text.size()) return 0;
  uint32_t code = length == 1 ? byte(0) : byte(0) & (0x7fu >> length);
  for (size_t i = 1; i < length; ++i) {
    if (byte(i) >> 6 != 2) return 0;
    code = code << 6 | (byte(i) & 0x3f);
  }
  constexpr uint32_t kFirstOf[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = code >> 11 == 0xd800 >> 11;
  return code >= kFirstOf[length] && code <= 0x10ffff && !is_surrogate ? length : 0;
}

std::string json_string(std::string_view text) {
  std::string quoted = "\"";
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    const char c = text[0];
    if (length == 0) {
      quoted += "\\ufffd";
    } else if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (length == 1 && (static_cast<uint8_t>(c) < 0x20 || c == 0x7f)) {
      quoted += fmt::format("\\u{:04x}", c);
    } else {
      quoted += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return quoted + '"';
}

// RFC 3339 in UTC, to the microsecond.
std::string time_text(uint64_t realtime_ns) {
  const auto seconds = static_cast<time_t>(realtime_ns / kNsPerSec);
  tm utc{};
  ::gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec, realtime_ns % kNsPerSec / kNsPerUs);
}

std::string json_line(LogLevel level, std::string_view text, LogFields fields, uint64_t realtime_ns) {
  std::string line = fmt::format(R"({{"time":"{}","level":"{}","message":{})", time_text(realtime_ns),
                                 level_text(level).word, json_string(text));
  for (const LogField& field : fields) {
    const auto* number = std::get_if<uint64_t>(&field.value);
    line += fmt::format(
        ",\"{}\":{}", field.name,
        number != nullptr ? fmt::to_string(*number) : json_string(std::get<std::string_view>(field.value)));
  }
  return line + '}';
}

std::atomic<LogStyle>& style_in_use() {
  static std::atomic<LogStyle> style{*parse_log_style("text")};
  return style;
}

}  // namespace

std::optional<LogStyle> parse_log_style(std::string_view text) {
  if (text == "json") return LogStyle::json;
  if (text != "text") return std::nullopt;
  return is_journal(STDERR_FILENO, std::getenv("JOURNAL_STREAM")) ? LogStyle::journal : LogStyle::text;
}

void set_log_style(LogStyle style) {
  style_in_use().store(style, std::memory_order_relaxed);
}

LogStyle log_style() {
  return style_in_use().load(std::memory_order_relaxed);
}

bool is_journal(int fd, const char* journal_stream) {
  struct stat st {};
  if (journal_stream == nullptr || ::fstat(fd, &st) != 0) return false;
  return journal_stream == fmt::format("{}:{}", st.st_dev, st.st_ino);
}

std::string format_log_line(LogStyle style, LogLevel level, std::string_view text, LogFields fields,
                            uint64_t realtime_ns) {
  if (style == LogStyle::json) return json_line(level, text, fields, realtime_ns);
  const LevelText words = level_text(level);
  return fmt::format("{}{}{}", style == LogStyle::journal ? words.journal_prefix : "", words.prefix, text);
}

void log_line(LogLevel level, std::string_view text, LogFields fields) {
  const std::string line = format_log_line(log_style(), level, text, fields, realtime_ns()) + '\n';
  // One write, so that lines of several threads do not mix. A log that cannot be written is not worth failing for.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace xdplb
