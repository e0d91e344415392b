// walk_ipv6_chain: from the IPv6 header through the extension headers to what is carried. Used for the packet
// itself and for the one quoted in an ICMPv6 error. Pure and bounded: at most XDPLB_MAX_EXTENSION_HEADERS headers.
//
// Walked over are all extension headers of the IANA registry but ESP (what follows is encrypted) and the two for
// experiments: the same as in kern/classify.h, which decides what comes up.
#pragma once

#include <cstdint>
#include <span>

#include "kern/abi.h"
#include "user/base/reason.h"

namespace xdplb {

// Where the walk ended. At a later fragment it ends behind the fragment header, since what follows is not a header:
// `protocol` is then what the fragment header names.
struct Ipv6Chain {
  uint8_t protocol = 0;
  uint32_t offset = 0;  // of what `protocol` names

  bool has_fragment_header = false;
  bool more_fragments = false;
  uint16_t fragment_offset = 0;  // bytes
  uint32_t fragment_id = 0;
  uint32_t fragment_payload = 0;  // offset of the byte behind the fragment header

  // A fragment header with offset 0 and nothing more to come makes an "atomic fragment": a whole packet (RFC 6946).
  [[nodiscard]] bool is_fragment() const { return fragment_offset != 0 || more_fragments; }
};

// True where `next_header` names a header to walk over, not what is carried.
bool is_ipv6_extension(uint8_t next_header);

// Walks `packet` from `offset`, where the header named `next_header` lies. Reads nothing beyond `packet`.
// Reason::extension_headers where a header is cut off, out of place, or one too many.
Reason walk_ipv6_chain(std::span<const uint8_t> packet, uint32_t offset, uint8_t next_header, Ipv6Chain& chain);

}  // namespace xdplb
