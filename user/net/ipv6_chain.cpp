#include "user/net/ipv6_chain.h"

#include "user/net/headers.h"

namespace xdplb {
namespace {

enum class Step { extension, authentication, fragment, end };

Step step_of(uint8_t next_header) {
  switch (next_header) {
    case kProtoHopByHop:
    case kProtoRouting:
    case kProtoDestinationOptions:
    case kProtoMobility:
    case kProtoHip:
    case kProtoShim6: return Step::extension;
    case kProtoAh: return Step::authentication;
    case kProtoFragment: return Step::fragment;
    default: return Step::end;
  }
}

void read_fragment_header(const Ipv6FragmentHeader& header, uint32_t offset, Ipv6Chain& chain) {
  const uint16_t offset_flags = header.offset_flags.get();
  chain.has_fragment_header = true;
  chain.fragment_offset = offset_flags & kIpv6OffsetMask;  // counted in units of 8, and shifted left by 3 already
  chain.more_fragments = (offset_flags & kIpv6MoreFragments) != 0;
  chain.fragment_id = header.id.get();
  chain.fragment_payload = offset + uint32_t{sizeof(Ipv6FragmentHeader)};
}

}  // namespace

bool is_ipv6_extension(uint8_t next_header) {
  return step_of(next_header) != Step::end;
}

Reason walk_ipv6_chain(std::span<const uint8_t> packet, uint32_t offset, uint8_t next_header, Ipv6Chain& chain) {
  for (uint32_t headers = 0;; ++headers) {
    const Step step = step_of(next_header);
    if (step == Step::end || chain.fragment_offset != 0) break;
    if (headers == XDPLB_MAX_EXTENSION_HEADERS || !has_room(packet, offset, kMinExtensionBytes))
      return Reason::extension_headers;
    // Hop-by-hop options come first or not at all (RFC 8200, 4.1).
    if (next_header == kProtoHopByHop && headers > 0) return Reason::extension_headers;

    const auto& header = header_at<Ipv6ExtensionHeader>(packet, offset);
    uint32_t len_bytes = sizeof(Ipv6FragmentHeader);
    if (step == Step::extension) {
      len_bytes = (header.len + 1u) * 8;
    } else if (step == Step::authentication) {
      len_bytes = (header.len + 2u) * 4;
    } else {
      // A fragment of a fragment is nobody's packet.
      if (chain.has_fragment_header) return Reason::extension_headers;
      read_fragment_header(header_at<Ipv6FragmentHeader>(packet, offset), offset, chain);
    }
    if (!has_room(packet, offset, len_bytes)) return Reason::extension_headers;
    next_header = header.next_header;
    offset += len_bytes;
  }
  chain.protocol = next_header;
  chain.offset = offset;
  return Reason::none;
}

}  // namespace xdplb
