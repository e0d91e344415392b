// Numbers that nobody can predict, from the kernel: the seeds of what an attacker must not be able to steer.
#pragma once

#include <cstdint>

#include "user/base/result.h"

namespace xdplb {

Result<uint64_t> random_secret();

}  // namespace xdplb
