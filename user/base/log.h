// Log lines of the daemon: one event, one line, on standard error, with a level. Any thread but a worker's
// packet path. `plain` writes "level: text" (journald adds the time); the sd-daemon prefix "<3>" is used when
// standard error is the journal.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace xdplb {

enum class LogLevel { error, warning, info, debug };

void log_line(LogLevel level, std::string_view text);

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
