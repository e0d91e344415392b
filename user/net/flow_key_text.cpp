#include "user/net/flow_key_text.h"

#include <netinet/in.h>

#include <array>
#include <charconv>
#include <utility>

namespace xdplb {
namespace {

constexpr std::array<std::pair<std::string_view, uint8_t>, 7> kNames = {{{"tcp", IPPROTO_TCP},
                                                                         {"udp", IPPROTO_UDP},
                                                                         {"sctp", IPPROTO_SCTP},
                                                                         {"icmp", IPPROTO_ICMP},
                                                                         {"icmpv6", IPPROTO_ICMPV6},
                                                                         {"esp", IPPROTO_ESP},
                                                                         {"ah", IPPROTO_AH}}};

std::optional<uint32_t> parse_number(std::string_view text, uint32_t most) {
  uint32_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || rest != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

std::string endpoint_text(const IpAddr& addr, uint16_t port, uint8_t protocol) {
  return has_ports(protocol) ? to_string(Endpoint{addr, port}) : to_string(addr);
}

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text, bool with_port) {
  const auto wrong = [&] {
    return fail("Invalid address [{}]: {}", text, with_port ? "ADDRESS:PORT, or [ADDRESS]:PORT" : "an address alone");
  };
  std::string_view addr = text;
  Endpoint endpoint;
  if (with_port) {
    const size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return wrong();
    const auto port = parse_number(text.substr(colon + 1), 65535);
    if (!port) return wrong();
    endpoint.port = static_cast<uint16_t>(*port);
    addr = text.substr(0, colon);
    const bool bracketed = addr.size() >= 2 && addr.front() == '[' && addr.back() == ']';
    if (bracketed) addr = addr.substr(1, addr.size() - 2);
    // Without brackets nobody knows which colon is the last one of the address.
    if (!bracketed && addr.find(':') != std::string_view::npos) return wrong();
  }
  const auto parsed = parse_ip(addr);
  if (!parsed) return wrong();
  endpoint.addr = *parsed;
  return endpoint;
}

std::string to_string(const Endpoint& endpoint) {
  return fmt::format(fmt::runtime(endpoint.addr.is_v4() ? "{}:{}" : "[{}]:{}"), to_string(endpoint.addr),
                     endpoint.port);
}

std::optional<uint8_t> parse_protocol(std::string_view text) {
  for (const auto& [name, number] : kNames) {
    if (text == name) return number;
  }
  const auto number = parse_number(text, 255);
  return number ? std::optional(static_cast<uint8_t>(*number)) : std::nullopt;
}

std::string protocol_text(uint8_t protocol) {
  for (const auto& [name, number] : kNames) {
    if (protocol == number) return std::string(name);
  }
  return std::to_string(protocol);
}

bool has_ports(uint8_t protocol) {
  return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

Result<FlowKey> parse_flow_key(std::string_view protocol, std::string_view src, std::string_view dst) {
  const auto number = parse_protocol(protocol);
  if (!number) return fail("Invalid protocol [{}]: tcp, udp, sctp, icmp, icmpv6, esp, ah, or a number", protocol);
  for (const std::string_view text : {src, dst}) {
    if (has_ports(*number) || parse_ip(text) || !parse_endpoint(text, true)) continue;
    return fail("Invalid address [{}]: {} has no ports, an address alone", text, protocol_text(*number));
  }
  const auto from = parse_endpoint(src, has_ports(*number));
  if (!from) return from.error();
  const auto to = parse_endpoint(dst, has_ports(*number));
  if (!to) return to.error();
  if (from->addr.is_v4() != to->addr.is_v4()) return fail("[{}] and [{}]: one is IPv4, the other IPv6", src, dst);
  FlowKey key;
  key.src = from->addr;
  key.dst = to->addr;
  key.src_port = from->port;
  key.dst_port = to->port;
  key.protocol = *number;
  return key;
}

std::string src_text(const FlowKey& key) {
  return endpoint_text(key.src, key.src_port, key.protocol);
}

std::string dst_text(const FlowKey& key) {
  return endpoint_text(key.dst, key.dst_port, key.protocol);
}

}  // namespace xdplb
