#include "user/ctl/netlink_parse.h"

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstring>

#include "user/ctl/netlink_attributes.h"

namespace xdplb {
namespace {

uint32_t as_u32(Payload payload) {
  uint32_t value = 0;
  if (payload.size() >= sizeof value) std::memcpy(&value, payload.data(), sizeof value);
  return value;
}

std::string as_string(Payload payload) {
  const auto* text = reinterpret_cast<const char*>(payload.data());
  return {text, ::strnlen(text, payload.size())};
}

void copy_mac(MacAddr& mac, Payload payload) {
  if (payload.size() == mac.bytes.size()) std::memcpy(mac.bytes.data(), payload.data(), mac.bytes.size());
}

std::optional<IpAddr> as_address(Payload payload) {
  if (payload.size() == 4) return IpAddr::v4(payload.data());
  if (payload.size() == 16) return IpAddr::v6(payload.data());
  return std::nullopt;
}

std::optional<IpAddr> read_gateway(uint16_t type, Payload payload) {
  if (type == RTA_GATEWAY) return as_address(payload);
  // An IPv6 next hop of an IPv4 route (RFC 5549): the address family, then the address.
  if (type == RTA_VIA && payload.size() > 2) return as_address(payload.subspan(2));
  return std::nullopt;
}

NeighbourNews news_of(uint16_t state) {
  if ((state & (NUD_REACHABLE | NUD_PERMANENT | NUD_NOARP)) != 0) return NeighbourNews::confirmed;
  if ((state & (NUD_STALE | NUD_DELAY | NUD_PROBE)) != 0) return NeighbourNews::stale;
  return (state & NUD_FAILED) != 0 ? NeighbourNews::failed : NeighbourNews::pending;
}

// The fixed part of the message and its attributes.
template <typename Fixed>
struct Opened {
  uint16_t type = 0;
  Fixed fixed{};
  Payload attributes;
};

template <typename Fixed>
std::optional<Opened<Fixed>> open_message(Payload message) {
  nlmsghdr header;
  if (message.size() < sizeof header) return std::nullopt;
  std::memcpy(&header, message.data(), sizeof header);
  if (header.nlmsg_len > message.size() || header.nlmsg_len < sizeof header + sizeof(Fixed)) return std::nullopt;
  Opened<Fixed> opened;
  opened.type = header.nlmsg_type;
  std::memcpy(&opened.fixed, message.data() + sizeof header, sizeof opened.fixed);
  const size_t start = sizeof header + MNL_ALIGN(sizeof(Fixed));
  if (start < header.nlmsg_len) opened.attributes = message.subspan(start, header.nlmsg_len - start);
  return opened;
}

XdpMode xdp_mode(uint8_t attached) {
  switch (attached) {
    case XDP_ATTACHED_NONE: return XdpMode::none;
    case XDP_ATTACHED_DRV: return XdpMode::native;
    case XDP_ATTACHED_SKB: return XdpMode::generic;
    case XDP_ATTACHED_HW: return XdpMode::offloaded;
    default: return XdpMode::several;
  }
}

void read_xdp(LinkInfo& link, Payload nested) {
  uint32_t sole_id = 0;
  for_each_attribute(nested, [&](uint16_t type, Payload payload) {
    switch (type) {
      case IFLA_XDP_ATTACHED:
        if (!payload.empty()) link.xdp_mode = xdp_mode(payload[0]);
        break;
      case IFLA_XDP_PROG_ID: sole_id = as_u32(payload); break;
      case IFLA_XDP_DRV_PROG_ID: link.xdp_native_id = as_u32(payload); break;
      case IFLA_XDP_SKB_PROG_ID: link.xdp_generic_id = as_u32(payload); break;
      case IFLA_XDP_HW_PROG_ID: link.xdp_offload_id = as_u32(payload); break;
      default: break;
    }
  });
  // The id by mode came with kernel 4.19; the plain one has always been there, for a single program.
  if (link.xdp_mode == XdpMode::native && link.xdp_native_id == 0) link.xdp_native_id = sole_id;
  if (link.xdp_mode == XdpMode::generic && link.xdp_generic_id == 0) link.xdp_generic_id = sole_id;
}

}  // namespace

std::string_view to_string(XdpMode mode) {
  static constexpr std::array<std::string_view, 5> kNames = {"none", "native", "generic", "offloaded", "several"};
  return kNames[static_cast<size_t>(mode)];
}

bool LinkInfo::is_up() const {
  return (flags & IFF_UP) != 0;
}

bool LinkInfo::has_carrier() const {
  return is_up() && (flags & IFF_RUNNING) != 0;
}

uint32_t LinkInfo::xdp_prog_id() const {
  if (xdp_offload_id != 0) return xdp_offload_id;
  return xdp_native_id != 0 ? xdp_native_id : xdp_generic_id;
}

std::optional<LinkEvent> parse_link_message(std::span<const uint8_t> message) {
  const auto opened = open_message<ifinfomsg>(message);
  if (!opened || (opened->type != RTM_NEWLINK && opened->type != RTM_DELLINK)) return std::nullopt;
  // A bridge speaks of its ports in messages of its own family, with DELLINK where the port leaves the bridge.
  if (opened->fixed.ifi_family != AF_UNSPEC) return std::nullopt;
  LinkEvent event;
  event.kind = opened->type == RTM_DELLINK ? LinkEvent::Kind::removed : LinkEvent::Kind::changed;
  LinkInfo& link = event.link;
  link.ifindex = static_cast<uint32_t>(opened->fixed.ifi_index);
  link.flags = opened->fixed.ifi_flags;
  for_each_attribute(opened->attributes, [&](uint16_t type, Payload payload) {
    switch (type) {
      case IFLA_IFNAME: link.name = as_string(payload); break;
      case IFLA_ADDRESS: copy_mac(link.mac, payload); break;
      case IFLA_MTU: link.mtu = as_u32(payload); break;
      case IFLA_NUM_RX_QUEUES: link.rx_queues = as_u32(payload); break;
      case IFLA_NUM_TX_QUEUES: link.tx_queues = as_u32(payload); break;
      case IFLA_MASTER: link.master_ifindex = as_u32(payload); break;
      case IFLA_LINK: link.parent_ifindex = as_u32(payload); break;
      case IFLA_LINKINFO:
        for_each_attribute(payload, [&](uint16_t inner, Payload text) {
          if (inner == IFLA_INFO_KIND) link.kind = as_string(text);
        });
        break;
      case IFLA_XDP: read_xdp(link, payload); break;
      case IFLA_STATS64:
        // The kernel adds to its end, and aligns to 4 only.
        if (payload.size() >= offsetof(rtnl_link_stats64, multicast)) {
          rtnl_link_stats64 counters{};
          std::memcpy(&counters, payload.data(), std::min(payload.size(), sizeof counters));
          link.tx_dropped = counters.tx_dropped;
          link.rx_dropped = counters.rx_dropped;
          link.rx_missed = counters.rx_missed_errors;
          link.rx_errors = counters.rx_errors;
        }
        break;
      default: break;
    }
  });
  return event;
}

std::optional<LinkAddress> parse_address_message(std::span<const uint8_t> message) {
  const auto opened = open_message<ifaddrmsg>(message);
  if (!opened || opened->type != RTM_NEWADDR) return std::nullopt;
  std::optional<IpAddr> address;
  std::optional<IpAddr> local;
  for_each_attribute(opened->attributes, [&](uint16_t type, Payload payload) {
    if (type == IFA_ADDRESS) address = as_address(payload);
    if (type == IFA_LOCAL) local = as_address(payload);
  });
  // On a point-to-point link IFA_ADDRESS is the other end; IFA_LOCAL, where given, is ours.
  if (local) address = local;
  if (!address) return std::nullopt;
  LinkAddress result;
  result.ifindex = opened->fixed.ifa_index;
  result.prefix.addr = *address;
  result.prefix.len = static_cast<uint8_t>(opened->fixed.ifa_prefixlen + (address->is_v4() ? kV4PrefixBits : 0));
  return result;
}

std::optional<std::vector<Gateway>> parse_route_message(std::span<const uint8_t> message) {
  const auto opened = open_message<rtmsg>(message);
  if (!opened || opened->type != RTM_NEWROUTE) return std::nullopt;
  std::vector<Gateway> gateways;
  std::optional<IpAddr> single;
  uint32_t out_ifindex = 0;
  for_each_attribute(opened->attributes, [&](uint16_t type, Payload payload) {
    if (const auto gateway = read_gateway(type, payload)) single = gateway;
    if (type == RTA_OIF) out_ifindex = as_u32(payload);
    if (type != RTA_MULTIPATH) return;
    while (payload.size() >= sizeof(rtnexthop)) {
      rtnexthop hop;
      std::memcpy(&hop, payload.data(), sizeof hop);
      if (hop.rtnh_len < sizeof hop || hop.rtnh_len > payload.size()) return;
      for_each_attribute(payload.subspan(sizeof hop, hop.rtnh_len - sizeof hop), [&](uint16_t inner, Payload bytes) {
        if (const auto gateway = read_gateway(inner, bytes)) {
          gateways.push_back(Gateway{static_cast<uint32_t>(hop.rtnh_ifindex), *gateway});
        }
      });
      const size_t step = RTNH_ALIGN(hop.rtnh_len);
      if (step >= payload.size()) return;
      payload = payload.subspan(step);
    }
  });
  if (single) gateways.push_back(Gateway{out_ifindex, *single});
  if (gateways.empty()) return std::nullopt;
  return gateways;
}

std::optional<Route> parse_route_answer(std::span<const uint8_t> message) {
  const auto opened = open_message<rtmsg>(message);
  if (!opened || opened->type != RTM_NEWROUTE) return std::nullopt;
  Route route;
  route.is_local = opened->fixed.rtm_type == RTN_LOCAL;
  for_each_attribute(opened->attributes, [&](uint16_t type, Payload payload) {
    if (type == RTA_OIF) route.ifindex = as_u32(payload);
    if (const auto gateway = read_gateway(type, payload)) route.gateway = gateway;
  });
  return route;
}

std::optional<Neighbour> parse_neighbour_message(std::span<const uint8_t> message) {
  const auto opened = open_message<ndmsg>(message);
  if (!opened || (opened->type != RTM_NEWNEIGH && opened->type != RTM_DELNEIGH)) return std::nullopt;
  std::optional<IpAddr> address;
  Neighbour neighbour;
  neighbour.ifindex = static_cast<uint32_t>(opened->fixed.ndm_ifindex);
  neighbour.news = opened->type == RTM_DELNEIGH ? NeighbourNews::pending : news_of(opened->fixed.ndm_state);
  for_each_attribute(opened->attributes, [&](uint16_t type, Payload payload) {
    if (type == NDA_DST) address = as_address(payload);
    if (type == NDA_LLADDR) copy_mac(neighbour.mac, payload);
  });
  if (!address) return std::nullopt;
  neighbour.address = *address;
  return neighbour;
}

}  // namespace xdplb
