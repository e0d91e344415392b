// The packet of which all others are made: what xdpgen's program needs to know, and the frame with its payload.
#pragma once

#include <cstdint>
#include <vector>

#include "tools/packets/abi.h"
#include "tools/xdpgen/options.h"

namespace xdplb::xdpgen {

struct Template {
  xdpgen_run run{};            // not armed; the device is the caller's to name
  std::vector<uint8_t> frame;  // of options.size_bytes, stamp and flow empty
};

// `from` is the source MAC where the options name none.
Template make_template(const Options& options, const MacAddr& from);

}  // namespace xdplb::xdpgen
