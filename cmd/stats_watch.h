// `xdplb stats --watch`: the rates on a live screen.
#pragma once

#include <cstdint>

#include "user/base/result.h"
#include "user/ctl/shm_file.h"

namespace xdplb {

// On a terminal until q or Ctrl-C; else one screen, after one period.
Result<void> watch_stats(const ShmName& name, uint64_t period_ns);

}  // namespace xdplb
