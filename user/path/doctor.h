// Doctor: what of a host would keep a balancer, or a server behind one, from working well: `xdplb doctor`.
//
// In two steps, so that the rules can be tested without a host that breaks them: examine_...() asks the kernel and
// changes nothing (the trial of BPF and AF_XDP ends with the call); check_...() are pure and go through a table of
// checks, one function each. Every check says something, "ok" included.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "user/base/result.h"
#include "user/ctl/ethtool.h"
#include "user/ctl/netlink.h"
#include "user/path/channels.h"

namespace xdplb {

enum class Severity : uint8_t { ok, warning, error };
const char* to_string(Severity severity);

struct Finding {
  std::string check;  // "mtu"
  Severity severity = Severity::ok;
  std::string what;  // what is the case
  std::string why;   // why that matters; empty where it is well
  std::string mend;  // the command that mends it; empty where no command does
};

// What the tables of checks are given.
struct DeviceFacts {
  LinkInfo link;
  Channels channels;
  std::string driver;
  std::optional<uint64_t> xdp_features;  // user/ctl/netdev_features.h; the kernel tells from 6.3 on
  std::optional<Offloads> offloads;
  std::optional<bool> udp4_ports_hashed, udp6_ports_hashed;
  bool has_vlans = false;  // VLAN devices lie on it
};

struct BalancerFacts {
  std::string kernel;                             // "6.1.0-18-amd64"
  std::vector<std::string> missing_capabilities;  // "CAP_NET_RAW"
  std::string bpf_error, xdp_socket_error;        // of the trials; empty: it works
  bool has_bpffs = false;
  std::vector<DeviceFacts> ingress;
  DeviceFacts egress;
  std::vector<LinkAddress> addresses;
  std::map<uint32_t, std::string> link_names;
  std::vector<IpPrefix> vips;
  uint32_t cores = 1;            // that we may use
  uint64_t memlock_bytes = 0;    // the limit; ~0: none
  bool may_lock_memory = false;  // whatever the limit
  uint64_t huge_pages_free = 0;
  bool transparent_huge_pages = false;
  bool forwards_ipv4 = false, forwards_ipv6 = false;
  bool irqbalance_runs = false;
};

struct ServerFacts {
  LinkInfo device;  // on the balancer's segment
  std::vector<LinkAddress> addresses;
  std::map<uint32_t, std::string> link_names;
  std::vector<IpAddr> vips;
  int arp_ignore = 0, arp_announce = 0, rp_filter = 0;  // the larger of `all` and the device's
  // The devices of the default routes; empty: none.
  std::string default4, default6;
};

// Error: a device that is not there.
Result<BalancerFacts> examine_balancer(const std::vector<std::string>& ingress, const std::string& egress,
                                       const std::vector<IpPrefix>& vips);
// `device` may be empty: that of the default route. `vips` may be empty: what lies on lo.
Result<ServerFacts> examine_server(const std::string& device, const std::vector<IpAddr>& vips);

std::vector<Finding> check_balancer(const BalancerFacts& facts);
std::vector<Finding> check_server(const ServerFacts& facts);

}  // namespace xdplb
