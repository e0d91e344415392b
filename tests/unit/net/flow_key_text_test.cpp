#include "user/net/flow_key_text.h"

#include <netinet/in.h>

#include <catch2/catch.hpp>

namespace xdplb {
namespace {

std::string error_of(const Result<FlowKey>& key) {
  return key ? "" : key.error().message;
}

}  // namespace

TEST_CASE("flow key: as text and back") {
  struct Case {
    const char *protocol, *src, *dst;
    uint16_t src_port, dst_port;
  };
  const Case cases[] = {{"tcp", "192.0.2.1:40000", "10.0.0.0:80", 40000, 80},
                        {"udp", "[2001:db8::1]:53", "[1000::]:65535", 53, 65535},
                        {"sctp", "192.0.2.1:0", "10.0.0.0:1", 0, 1},
                        {"icmp", "192.0.2.1", "10.0.0.0", 0, 0},
                        {"icmpv6", "2001:db8::1", "1000::", 0, 0},
                        {"esp", "192.0.2.1", "10.0.0.0", 0, 0},
                        {"47", "192.0.2.1", "10.0.0.0", 0, 0}};
  for (const Case& c : cases) {
    CAPTURE(c.protocol, c.src);
    const auto key = parse_flow_key(c.protocol, c.src, c.dst);
    REQUIRE(key);
    CHECK(protocol_text(key->protocol) == c.protocol);
    CHECK(src_text(*key) == c.src);
    CHECK(dst_text(*key) == c.dst);
    CHECK(key->src_port == c.src_port);
    CHECK(key->dst_port == c.dst_port);
  }
  CHECK(parse_protocol("6") == IPPROTO_TCP);
}

TEST_CASE("flow key: what is none is named") {
  CHECK(error_of(parse_flow_key("tpc", "1.1.1.1:1", "2.2.2.2:2")).starts_with("Invalid protocol [tpc]: tcp, "));
  CHECK(error_of(parse_flow_key("256", "1.1.1.1", "2.2.2.2")).starts_with("Invalid protocol [256]"));
  for (const char* src :
       {"1.1.1.1", "1.1.1.1:", "1.1.1.1:65536", "1.1.1:5", ":5", "::1:5", "[::1]", "[::1:5", "a:5"}) {
    CAPTURE(src);
    CHECK(error_of(parse_flow_key("tcp", src, "[::2]:80")) ==
          fmt::format("Invalid address [{}]: ADDRESS:PORT, or [ADDRESS]:PORT", src));
  }
  CHECK(error_of(parse_flow_key("icmp", "1.1.1.1:5", "2.2.2.2")) ==
        "Invalid address [1.1.1.1:5]: icmp has no ports, an address alone");
  CHECK(error_of(parse_flow_key("47", "::1", "[::2]:80")) ==
        "Invalid address [[::2]:80]: 47 has no ports, an address alone");
  CHECK(error_of(parse_flow_key("icmp", "x", "2.2.2.2")) == "Invalid address [x]: an address alone");
  CHECK(error_of(parse_flow_key("tcp", "1.1.1.1:5", "[::2]:80")) ==
        "[1.1.1.1:5] and [[::2]:80]: one is IPv4, the other IPv6");
}

}  // namespace xdplb
