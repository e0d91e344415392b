#include "user/ctl/netlink_parse.h"

#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <random>

namespace xdplb {
namespace {

using Bytes = std::vector<uint8_t>;

// Writes messages as the kernel does.
class MessageBuilder {
 public:
  template <typename Fixed>
  MessageBuilder(uint16_t type, const Fixed& fixed) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    append(header);
    append(fixed);
    pad();
  }
  MessageBuilder& attribute(uint16_t type, const Bytes& payload) {
    append(nlattr{static_cast<uint16_t>(sizeof(nlattr) + payload.size()), type});
    bytes_.insert(bytes_.end(), payload.begin(), payload.end());
    pad();
    return *this;
  }
  MessageBuilder& text(uint16_t type, const std::string& text) {
    return attribute(type, Bytes(text.c_str(), text.c_str() + text.size() + 1));
  }
  MessageBuilder& number(uint16_t type, uint32_t value) { return attribute(type, of(value)); }

  [[nodiscard]] Bytes finish() const {
    Bytes bytes = bytes_;
    const auto len = static_cast<uint32_t>(bytes.size());
    std::memcpy(bytes.data(), &len, sizeof len);
    return bytes;
  }

  template <typename T>
  static Bytes of(const T& value) {
    const auto* raw = reinterpret_cast<const uint8_t*>(&value);
    return Bytes(raw, raw + sizeof value);
  }
  // A nested attribute's payload.
  static Bytes nested(std::initializer_list<std::pair<uint16_t, Bytes>> attributes) {
    MessageBuilder inner;
    for (const auto& [type, payload] : attributes) inner.attribute(type, payload);
    return inner.bytes_;
  }

 private:
  MessageBuilder() = default;
  template <typename T>
  void append(const T& value) {
    const Bytes raw = of(value);
    bytes_.insert(bytes_.end(), raw.begin(), raw.end());
  }
  void pad() { bytes_.resize((bytes_.size() + 3) / 4 * 4); }
  Bytes bytes_;
};

MessageBuilder veth_builder(uint16_t type) {
  ifinfomsg fixed{};
  fixed.ifi_index = 7;
  fixed.ifi_flags = IFF_UP | IFF_RUNNING;
  MessageBuilder message(type, fixed);
  message.text(IFLA_IFNAME, "eth2")
      .attribute(IFLA_ADDRESS, {2, 0, 0, 0, 0, 7})
      .number(IFLA_MTU, 1500)
      .number(IFLA_NUM_RX_QUEUES, 4)
      .number(IFLA_NUM_TX_QUEUES, 2)
      .number(IFLA_LINK, 8)
      .number(IFLA_MASTER, 9)
      .attribute(IFLA_LINKINFO, MessageBuilder::nested({{IFLA_INFO_KIND, {'v', 'e', 't', 'h', 0}}}))
      .attribute(IFLA_XDP, MessageBuilder::nested({{IFLA_XDP_ATTACHED, {XDP_ATTACHED_MULTI}},
                                                   {IFLA_XDP_DRV_PROG_ID, MessageBuilder::of(uint32_t{41})},
                                                   {IFLA_XDP_SKB_PROG_ID, MessageBuilder::of(uint32_t{42})}}));
  return message;
}

}  // namespace

TEST_CASE("netlink: a link with everything we read of it") {
  const auto event = parse_link_message(veth_builder(RTM_NEWLINK).finish());
  REQUIRE(event);
  CHECK(event->kind == LinkEvent::Kind::changed);
  const LinkInfo& link = event->link;
  CHECK(link.ifindex == 7);
  CHECK(link.name == "eth2");
  CHECK(to_string(link.mac) == "02:00:00:00:00:07");
  CHECK(link.mtu == 1500);
  CHECK(link.is_up());
  CHECK(link.has_carrier());
  CHECK(link.kind == "veth");
  CHECK(link.rx_queues == 4);
  CHECK(link.tx_queues == 2);
  CHECK(link.parent_ifindex == 8);
  CHECK(link.master_ifindex == 9);
  CHECK(link.xdp_mode == XdpMode::several);
  CHECK(link.xdp_native_id == 41);
  CHECK(link.xdp_generic_id == 42);
  CHECK(link.xdp_prog_id() == 41);
  CHECK(parse_link_message(veth_builder(RTM_DELLINK).finish())->kind == LinkEvent::Kind::removed);
}

TEST_CASE("netlink: a bridge's talk of its ports is no link event") {
  ifinfomsg fixed{};
  fixed.ifi_family = AF_BRIDGE;
  CHECK_FALSE(parse_link_message(MessageBuilder(RTM_DELLINK, fixed).finish()));
  CHECK_FALSE(parse_link_message(MessageBuilder(RTM_NEWADDR, ifaddrmsg{}).finish()));
}

TEST_CASE("netlink: the program's id where the kernel names it only once") {
  const auto with = [](uint8_t attached) {
    MessageBuilder message(RTM_NEWLINK, ifinfomsg{});
    message.attribute(IFLA_XDP, MessageBuilder::nested({{IFLA_XDP_ATTACHED, {attached}},
                                                        {IFLA_XDP_PROG_ID, MessageBuilder::of(uint32_t{5})}}));
    return parse_link_message(message.finish())->link;
  };
  CHECK(with(XDP_ATTACHED_SKB).xdp_generic_id == 5);
  CHECK(with(XDP_ATTACHED_SKB).xdp_mode == XdpMode::generic);
  CHECK(with(XDP_ATTACHED_DRV).xdp_native_id == 5);
}

TEST_CASE("netlink: own addresses, also of point-to-point links") {
  ifaddrmsg fixed{};
  fixed.ifa_prefixlen = 24;
  fixed.ifa_index = 3;
  MessageBuilder plain(RTM_NEWADDR, fixed);
  plain.attribute(IFA_ADDRESS, {10, 0, 0, 1});
  REQUIRE(parse_address_message(plain.finish()));
  CHECK(to_string(parse_address_message(plain.finish())->prefix.addr) == "10.0.0.1");
  CHECK(parse_address_message(plain.finish())->prefix.len == 120);
  MessageBuilder tunnel(RTM_NEWADDR, fixed);
  tunnel.attribute(IFA_ADDRESS, {10, 0, 0, 2}).attribute(IFA_LOCAL, {10, 0, 0, 1});
  CHECK(to_string(parse_address_message(tunnel.finish())->prefix.addr) == "10.0.0.1");
}

TEST_CASE("netlink: next hops of plain, multipath and cross-family routes") {
  MessageBuilder plain(RTM_NEWROUTE, rtmsg{});
  plain.number(RTA_OIF, 4).attribute(RTA_GATEWAY, {192, 0, 2, 1});
  const auto one = parse_route_message(plain.finish());
  REQUIRE(one);
  REQUIRE(one->size() == 1);
  CHECK(to_string(one->front().address) == "192.0.2.1");
  CHECK(one->front().ifindex == 4);

  Bytes hops;
  for (uint8_t i = 1; i <= 2; ++i) {
    rtnexthop hop{};
    const Bytes gateway = MessageBuilder::nested({{RTA_GATEWAY, {192, 0, 2, i}}});
    hop.rtnh_len = static_cast<uint16_t>(sizeof hop + gateway.size());
    hop.rtnh_ifindex = i;
    const Bytes raw = MessageBuilder::of(hop);
    hops.insert(hops.end(), raw.begin(), raw.end());
    hops.insert(hops.end(), gateway.begin(), gateway.end());
  }
  const auto two = parse_route_message(MessageBuilder(RTM_NEWROUTE, rtmsg{}).attribute(RTA_MULTIPATH, hops).finish());
  REQUIRE(two);
  REQUIRE(two->size() == 2);
  CHECK(to_string((*two)[1].address) == "192.0.2.2");
  CHECK((*two)[1].ifindex == 2);

  Bytes via = {AF_INET6, 0};
  via.insert(via.end(), {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
  const auto cross = parse_route_message(MessageBuilder(RTM_NEWROUTE, rtmsg{}).attribute(RTA_VIA, via).finish());
  REQUIRE(cross);
  CHECK(to_string(cross->front().address) == "fe80::1");
  CHECK_FALSE(parse_route_message(MessageBuilder(RTM_NEWROUTE, rtmsg{}).number(RTA_OIF, 4).finish()));
}

TEST_CASE("netlink: the way to an address") {
  rtmsg fixed{};
  fixed.rtm_type = RTN_UNICAST;
  const auto direct = parse_route_answer(MessageBuilder(RTM_NEWROUTE, fixed).number(RTA_OIF, 4).finish());
  REQUIRE(direct);
  CHECK(direct->ifindex == 4);
  CHECK_FALSE(direct->gateway);
  CHECK_FALSE(direct->is_local);
  const auto behind = parse_route_answer(
      MessageBuilder(RTM_NEWROUTE, fixed).number(RTA_OIF, 4).attribute(RTA_GATEWAY, {10, 0, 0, 1}).finish());
  REQUIRE(behind);
  CHECK(to_string(behind->gateway.value()) == "10.0.0.1");
  fixed.rtm_type = RTN_LOCAL;
  CHECK(parse_route_answer(MessageBuilder(RTM_NEWROUTE, fixed).number(RTA_OIF, 1).finish())->is_local);
  CHECK_FALSE(parse_route_answer(MessageBuilder(RTM_DELROUTE, fixed).number(RTA_OIF, 1).finish()));
}

TEST_CASE("netlink: neighbours, by what the kernel thinks of them") {
  const auto news = [](uint16_t type, int state) {
    ndmsg fixed{};
    fixed.ndm_ifindex = 5;
    fixed.ndm_state = static_cast<uint16_t>(state);
    MessageBuilder message(type, fixed);
    message.attribute(NDA_DST, {10, 0, 0, 9}).attribute(NDA_LLADDR, {2, 0, 0, 0, 0, 9});
    const auto parsed = parse_neighbour_message(message.finish());
    REQUIRE(parsed);
    CHECK(parsed->ifindex == 5);
    CHECK(to_string(parsed->address) == "10.0.0.9");
    CHECK(to_string(parsed->mac) == "02:00:00:00:00:09");
    return parsed->news;
  };
  for (const int state : {NUD_REACHABLE, NUD_PERMANENT}) {
    CHECK(news(RTM_NEWNEIGH, state) == NeighbourNews::confirmed);
  }
  for (const int state : {NUD_STALE, NUD_DELAY, NUD_PROBE}) {
    CHECK(news(RTM_NEWNEIGH, state) == NeighbourNews::stale);
  }
  CHECK(news(RTM_NEWNEIGH, NUD_INCOMPLETE) == NeighbourNews::pending);
  CHECK(news(RTM_NEWNEIGH, NUD_FAILED) == NeighbourNews::failed);
  CHECK(news(RTM_DELNEIGH, NUD_REACHABLE) == NeighbourNews::pending);
  const auto unknown = parse_neighbour_message(MessageBuilder(RTM_NEWNEIGH, ndmsg{}).finish());
  CHECK_FALSE(unknown);
}

TEST_CASE("netlink: truncated and spoilt messages never read beyond their end") {
  const Bytes good = veth_builder(RTM_NEWLINK).finish();
  for (size_t len = 0; len < good.size(); ++len) {
    // The header says more than there is.
    CHECK_FALSE(parse_link_message(std::span(good).first(len)));
  }
  std::mt19937 random(1);
  int parsed = 0;
  for (int round = 0; round < 20'000; ++round) {
    // A copy of its own, so that the sanitizers see the first byte beyond.
    Bytes bytes = good;
    bytes.resize(sizeof(nlmsghdr) + random() % (good.size() - sizeof(nlmsghdr)));
    const auto len = static_cast<uint32_t>(bytes.size());
    for (int flips = 0; flips < 3; ++flips) bytes[4 + random() % (bytes.size() - 4)] = static_cast<uint8_t>(random());
    std::memcpy(bytes.data(), &len, sizeof len);
    const Bytes exact(bytes);
    parsed += parse_link_message(exact).has_value();
    static_cast<void>(parse_address_message(exact));
    static_cast<void>(parse_route_message(exact));
    static_cast<void>(parse_neighbour_message(exact));
    static_cast<void>(parse_route_answer(exact));
  }
  CHECK(parsed > 1000);
}

TEST_CASE("netlink: the kernel's answers") {
  const auto links = list_links();
  REQUIRE(links);
  const auto loopback = query_link("lo");
  REQUIRE(loopback);
  CHECK(loopback->ifindex == 1);
  CHECK((loopback->flags & IFF_LOOPBACK) != 0);
  CHECK(query_link(loopback->ifindex).value().name == "lo");
  CHECK(query_link("eth9nosuch").error().message == "Unknown interface [eth9nosuch]");
  CHECK(query_link("a-name-that-is-too-long").error().message == "Unknown interface [a-name-that-is-too-long]");
  CHECK(query_link(0x7fffffff).error().message == "Unknown interface [2147483647]");
  CHECK(list_addresses());
  CHECK(list_gateways());
  CHECK(list_neighbours());
  const auto to_ourselves = query_route(parse_ip("127.0.0.1").value());
  REQUIRE(to_ourselves);
  CHECK(to_ourselves->value().is_local);
  const auto watcher = LinkWatcher::create();
  REQUIRE(watcher);
  CHECK((*watcher)->read_events().value().empty());
}

}  // namespace xdplb
