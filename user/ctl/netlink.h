// What the kernel says of links, addresses, routes and neighbours (rtnetlink, through libmnl).
//
// Queries open a socket of their own, ask once and close it. LinkWatcher is subscribed to link changes and gives them
// as they come; it belongs to the control thread, which watches its descriptor. An XDP program that is attached
// through a bpf_link raises no event in the kernel: who must know asks again with query_link now and then.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "user/base/result.h"
#include "user/net/ip.h"
#include "user/net/mac.h"

struct mnl_socket;

namespace xdplb {

enum class XdpMode : uint8_t { none, native, generic, offloaded, several };
std::string_view to_string(XdpMode mode);

struct LinkInfo {
  uint32_t ifindex = 0;
  std::string name;
  MacAddr mac;
  uint32_t mtu = 0;
  uint32_t flags = 0;      // IFF_*
  std::string kind;        // "veth", "tun", "bond", "bridge", "vlan", ...; empty for hardware
  uint32_t rx_queues = 0;  // as allocated; ethtool may have fewer channels in use
  uint32_t tx_queues = 0;
  uint32_t master_ifindex = 0;  // of the bond or bridge it belongs to
  uint32_t parent_ifindex = 0;  // the peer of a veth, the device below a VLAN
  XdpMode xdp_mode = XdpMode::none;
  uint32_t xdp_native_id = 0;  // program ids, 0: none
  uint32_t xdp_generic_id = 0;
  uint32_t xdp_offload_id = 0;
  // What the device lost, since ever: packets.
  uint64_t tx_dropped = 0;
  uint64_t rx_dropped = 0;
  uint64_t rx_missed = 0;
  uint64_t rx_errors = 0;

  [[nodiscard]] bool is_up() const;        // set up by the administrator
  [[nodiscard]] bool has_carrier() const;  // and able to send
  // The program that sees packets first: native where there is one.
  [[nodiscard]] uint32_t xdp_prog_id() const;
  friend bool operator==(const LinkInfo&, const LinkInfo&) = default;
};

// Error: "Unknown interface [eth9]" (sys_errno ENODEV).
Result<LinkInfo> query_link(const std::string& name);
Result<LinkInfo> query_link(uint32_t ifindex);
Result<std::vector<LinkInfo>> list_links();

struct LinkAddress {
  uint32_t ifindex = 0;
  IpPrefix prefix;  // the address with the length of its subnet; host bits kept
};
Result<std::vector<LinkAddress>> list_addresses();

struct Gateway {
  uint32_t ifindex = 0;
  IpAddr address;
};
// The next hops of all routes of all tables.
Result<std::vector<Gateway>> list_gateways();

// The way that a packet of this host to some address would take.
struct Route {
  uint32_t ifindex = 0;
  std::optional<IpAddr> gateway;
  bool is_local = false;  // the address is one of ours
};
// Nothing where there is no way.
Result<std::optional<Route>> query_route(const IpAddr& destination);

struct LinkEvent {
  enum class Kind : uint8_t {
    changed,  // new, or something of it changed
    removed,  // gone, or moved to another namespace
    overrun,  // the kernel dropped events: ask for everything again
  };
  Kind kind = Kind::changed;
  LinkInfo link;
};

class LinkWatcher {
 public:
  static Result<std::unique_ptr<LinkWatcher>> create();
  ~LinkWatcher();
  LinkWatcher(const LinkWatcher&) = delete;
  LinkWatcher& operator=(const LinkWatcher&) = delete;

  [[nodiscard]] int fd() const;
  // What has come since. Never blocks; bounded in number per call (call again while the descriptor is readable).
  Result<std::vector<LinkEvent>> read_events();

 private:
  explicit LinkWatcher(mnl_socket* socket) : socket_(socket) {}
  mnl_socket* socket_;
};

// One RTM_NEWLINK or RTM_DELLINK message, header included. Nothing where it is not one or is malformed.
std::optional<LinkEvent> parse_link_message(std::span<const uint8_t> message);

}  // namespace xdplb
