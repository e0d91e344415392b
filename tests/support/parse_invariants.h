// What must hold of every answer of parse_packet, whatever the bytes. Shared by the unit tests and the fuzzer.
#pragma once

#include <cstdint>
#include <span>

#include "user/net/parse.h"

namespace xdplb::test {

// The invariant that is broken, in words; nullptr if all hold.
const char* broken_invariant(std::span<const uint8_t> frame, Reason reason, const PacketInfo& info);

// Field by field: PacketInfo has padding.
bool same_info(const PacketInfo& a, const PacketInfo& b);

}  // namespace xdplb::test
