// What happened between two looks at the daemon's statistics, as a screen of text: rates by worker, service, target
// and drop reason, the largest first. A pure function; `xdplb stats --watch` shows it again and again.
#pragma once

#include <string>

#include "user/ctl/stats.h"

namespace xdplb {

struct ScreenSize {
  size_t columns = 80;
  size_t lines = 24;
};

// At most that many lines, none longer than the columns, each ended by a newline. Where not everything has room the
// sections share it, and say how much they leave out. A daemon that started anew in between counts from zero.
std::string rates_text(const DaemonStats& before, const DaemonStats& now, ScreenSize size);

// "0", "12.3", "456", "1.20k", "3.45M"
std::string rate_text(double per_second);

}  // namespace xdplb
