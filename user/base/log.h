// Log lines of the daemon: one event, one line, on standard error, with a level and, where they are at hand, fields.
// Any thread but a worker's packet path.
//
// Three styles. text: "warning: ...". journal: the same behind the sd-daemon prefix "<4>", taken by itself where
// standard error is the journal (which adds the time). json: one object a line, {"time", "level", "message"} and the
// fields. Fields are for programs: the message says the same in words.
#pragma once

#include <fmt/format.h>

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace xdplb {

enum class LogLevel { error, warning, info, debug };
enum class LogStyle { text, journal, json };

// Not owned: alive until the call returns.
struct LogField {
  std::string_view name;  // a JSON key as it stands
  std::variant<uint64_t, std::string_view> value;
};
using LogFields = std::initializer_list<LogField>;

// "text", "json"; text becomes journal where standard error is that.
std::optional<LogStyle> parse_log_style(std::string_view text);
// Once, at the start, before there are threads.
void set_log_style(LogStyle style);
LogStyle log_style();

// Whether `fd` is what JOURNAL_STREAM (systemd.exec(5)) says that the journal reads: "DEVICE:INODE". Null: no.
bool is_journal(int fd, const char* journal_stream);

// A line without its newline. Bytes that are not UTF-8 become U+FFFD in JSON.
std::string format_log_line(LogStyle style, LogLevel level, std::string_view text, LogFields fields,
                            uint64_t realtime_ns);

void log_line(LogLevel level, std::string_view text, LogFields fields = {});

template <typename... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::error, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace xdplb
