// A frame that a packet of this key could come in, for `where`: the least that parse_packet takes for one. TCP has
// the ACK flag alone, as in the middle of a connection. Addresses of the link are made up.
#pragma once

#include <cstdint>
#include <vector>

#include "user/net/flow_key.h"

namespace xdplb {

// Source and destination of `key` are of one family.
std::vector<uint8_t> make_probe_frame(const FlowKey& key);

}  // namespace xdplb
