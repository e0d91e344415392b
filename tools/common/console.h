// Lines for the operator on standard error, with date and time as Go's log package prints them: the original tools'
// "Listen on address" lines are waited for by scripts.
#pragma once

#include <string_view>

namespace xdplb::tools {

// "2018/11/28 14:58:40 TEXT". Any thread.
void console_line(std::string_view text);

}  // namespace xdplb::tools
