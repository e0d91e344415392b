// What ethtool tells of a device, asked in our own network namespace. Nothing where a driver does not answer.
// Control thread and commands.
#pragma once

#include <optional>

#include "user/ctl/netlink.h"

namespace xdplb {

// `question` is an ethtool struct that begins with its cmd. False: errno says why.
bool ask_ethtool(const LinkInfo& link, void* question);

// Those that matter to AF_XDP.
struct Offloads {
  bool gro = false;
  bool lro = false;
  bool rxvlan = false;  // the card takes VLAN tags away
  friend bool operator==(const Offloads&, const Offloads&) = default;
};
std::optional<Offloads> query_offloads(const LinkInfo& link);

// Whether RSS looks at the ports of UDP packets, too.
std::optional<bool> query_udp_ports_hashed(const LinkInfo& link, bool ipv6);

}  // namespace xdplb
