// xdplb version: ours, and the versions of what we speak.
#include <CLI/CLI.hpp>

#include "cmd/command.h"
#include "kern/abi.h"
#include "user/ctl/config_wire.h"

namespace xdplb {

Action setup_version(CLI::App&) {
  return []() -> Result<int> {
    fmt::print("xdplb {} (shared memory layout {}, kernel map layout {})\n", XDPLB_VERSION, kConfigLayoutVersion,
               static_cast<unsigned>(XDPLB_ABI_VERSION));
    return kExitDone;
  };
}

}  // namespace xdplb
