// rtnetlink messages -> values. Pure; each takes one message, header included, and gives nothing where it is of
// another type, malformed, or says nothing of use.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "user/ctl/neighbours.h"
#include "user/ctl/netlink.h"

namespace xdplb {

std::optional<LinkAddress> parse_address_message(std::span<const uint8_t> message);
// One route may have several next hops.
std::optional<std::vector<Gateway>> parse_route_message(std::span<const uint8_t> message);
std::optional<Route> parse_route_answer(std::span<const uint8_t> message);
std::optional<Neighbour> parse_neighbour_message(std::span<const uint8_t> message);

}  // namespace xdplb
