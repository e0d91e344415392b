// Any bytes as a netlink message: each parser gives a value or nothing, and stays within the bytes.
#include <vector>

#include "tests/fuzz/fuzz.h"
#include "user/base/check.h"
#include "user/ctl/netlink_parse.h"

XDPLB_FUZZ_TARGET(netlink) {
  using namespace xdplb;
  // A copy of just that size: what lies behind it is the sanitizer's.
  const std::vector<uint8_t> message(data, data + size);
  if (const auto event = parse_link_message(message)) XDPLB_CHECK(event->link.name.size() <= size);
  if (const auto gateways = parse_route_message(message)) {
    XDPLB_CHECK(!gateways->empty() && gateways->size() <= size);
  }
  static_cast<void>(parse_address_message(message));
  static_cast<void>(parse_neighbour_message(message));
  static_cast<void>(parse_route_answer(message));
}
