#include "tools/common/console.h"

#include <fmt/format.h>

#include <cstdio>
#include <ctime>

namespace xdplb::tools {

void console_line(std::string_view text) {
  const time_t now = ::time(nullptr);
  tm local{};
  localtime_r(&now, &local);
  fmt::print(stderr, "{:04}/{:02}/{:02} {:02}:{:02}:{:02} {}\n", local.tm_year + 1900, local.tm_mon + 1,
             local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec, text);
}

}  // namespace xdplb::tools
