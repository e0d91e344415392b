// What xdpgen is asked to send.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tools/common/early_exit.h"
#include "user/net/ip.h"
#include "user/net/mac.h"

namespace xdplb::xdpgen {

struct Options {
  std::string device;
  MacAddr to;                   // destination MAC
  std::optional<MacAddr> from;  // source MAC; the device's own
  IpAddr vip;                   // destination address; its family is the packets'
  IpAddr source;                // of the first flow
  uint16_t port = 5001;         // destination port
  uint32_t flows = 1;
  uint32_t size_bytes = 60;  // of the frame, without its check sequence
  double rate = 0;           // packets a second; 0: as fast as it goes
  uint32_t batch = 0;        // packets handed over at once; 0: by the rate
  uint64_t count = 0;        // packets; 0: no end
  int64_t duration_ns = 0;   // 0: no end
  int cpu = -1;
  bool version = false;
};

using Parsed = tools::Parsed<Options>;

Parsed parse(int argc, const char* const* argv);

// Packets a call hands over at once: those of 10 microseconds, at most 64. A larger batch costs less a packet, and
// is a burst for the receiver.
uint32_t batch_for(double rate);

}  // namespace xdplb::xdpgen
