// Walking over the attributes of a netlink message, whatever family it is of. Hostile lengths end the walk.
#pragma once

#include <libmnl/libmnl.h>

#include <cstdint>
#include <cstring>
#include <span>

namespace xdplb {

// An attribute's payload, within the message that it lies in.
using Payload = std::span<const uint8_t>;

// Calls visit(type, payload) for each attribute. A length that does not fit ends the walk.
template <typename Visit>
void for_each_attribute(Payload bytes, Visit visit) {
  while (bytes.size() >= sizeof(nlattr)) {
    nlattr attribute;
    std::memcpy(&attribute, bytes.data(), sizeof attribute);
    if (attribute.nla_len < sizeof attribute || attribute.nla_len > bytes.size()) return;
    visit(static_cast<uint16_t>(attribute.nla_type & NLA_TYPE_MASK),
          bytes.subspan(sizeof attribute, attribute.nla_len - sizeof attribute));
    const size_t step = MNL_ALIGN(attribute.nla_len);
    if (step >= bytes.size()) return;
    bytes = bytes.subspan(step);
  }
}

}  // namespace xdplb
