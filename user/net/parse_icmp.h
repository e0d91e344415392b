// The ICMP part of parse_packet: which messages are errors, and the packet quoted inside one.
#pragma once

#include <cstdint>
#include <span>

#include "user/net/parse.h"

namespace xdplb {

// `packet` ends where the IP packet ends; info.l4_offset is that of the ICMP header and info.key holds the outer
// addresses. Sets kind and, of an error, the key of the flow that it is about.
Reason parse_icmp4(std::span<const uint8_t> packet, PacketInfo& info);
Reason parse_icmp6(std::span<const uint8_t> packet, PacketInfo& info);

}  // namespace xdplb
