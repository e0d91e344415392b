// A flow's key as people write it: "tcp 192.0.2.1:40000 10.0.0.0:80", "udp [2001:db8::1]:53 [1000::]:53", and for
// protocols without ports "icmp 192.0.2.1 10.0.0.0".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "user/base/result.h"
#include "user/net/flow_key.h"
#include "user/net/ip.h"

namespace xdplb {

struct Endpoint {
  IpAddr addr;
  uint16_t port = 0;
};
// "192.0.2.1:9100", "[2001:db8::1]:9100"; without a port the address alone. The error names the text.
Result<Endpoint> parse_endpoint(std::string_view text, bool with_port);
std::string to_string(const Endpoint& endpoint);

// tcp, udp, sctp, icmp, icmpv6, esp, ah, or a number from 0 to 255. Nothing where it is none of these.
std::optional<uint8_t> parse_protocol(std::string_view text);
std::string protocol_text(uint8_t protocol);
bool has_ports(uint8_t protocol);

// Error: what of it cannot be, and how it is written.
Result<FlowKey> parse_flow_key(std::string_view protocol, std::string_view src, std::string_view dst);

// "192.0.2.1:40000", "[2001:db8::1]:53"; the address alone where the protocol has no ports.
std::string src_text(const FlowKey& key);
std::string dst_text(const FlowKey& key);

}  // namespace xdplb
