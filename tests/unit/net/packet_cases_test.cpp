// parse_packet against scapy: every case of tests/support/packet_cases.json (made by gen_packet_cases.py).
#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/packet.h"
#include "tests/support/parse_invariants.h"
#include "user/net/parse.h"

namespace xdplb {
namespace {

using Fields = std::map<std::string, std::string>;

const char* kind_name(PacketKind kind) {
  switch (kind) {
    case PacketKind::transport: return "transport";
    case PacketKind::other: return "other";
    case PacketKind::icmp_echo: return "icmp_echo";
    case PacketKind::icmp_error: return "icmp_error";
    case PacketKind::first_fragment: return "first_fragment";
    case PacketKind::later_fragment: return "later_fragment";
  }
  return "?";
}

Fields fields_of(Reason reason, const PacketInfo& info) {
  Fields fields{{"reason", std::string(reason_name(reason))}};
  if (reason != Reason::none) return fields;
  fields["kind"] = kind_name(info.kind);
  fields["src"] = to_string(info.key.src);
  fields["dst"] = to_string(info.key.dst);
  fields["more_fragments"] = info.more_fragments ? "true" : "false";
  fields["inner_is_fragment"] = info.inner_is_fragment ? "true" : "false";
  const std::map<std::string, uint32_t> numbers = {
      {"ip_version", info.ip_version},     {"src_port", info.key.src_port},
      {"dst_port", info.key.dst_port},     {"protocol", info.key.protocol},
      {"l3_offset", info.l3_offset},       {"l4_offset", info.l4_offset},
      {"packet_len", info.packet_len},     {"fragment_id", info.fragment_id},
      {"fragment_len", info.fragment_len}, {"fragment_offset", info.fragment_offset},
      {"tcp_flags", info.tcp_flags},
  };
  for (const auto& [name, value] : numbers) fields[name] = std::to_string(value);
  return fields;
}

Fields fields_of(const nlohmann::json& expected) {
  Fields fields;
  for (const auto& [name, value] : expected.items())
    fields[name] = value.is_string() ? value.get<std::string>() : value.dump();
  return fields;
}

// As one text, so that a failure shows what differs.
std::string text_of(const Fields& fields) {
  std::string text;
  for (const auto& [name, value] : fields) text += fmt::format("{}={} ", name, value);
  return text;
}

TEST_CASE("the parser agrees with scapy", "[net][parse][oracle]") {
  std::ifstream file("tests/support/packet_cases.json");
  REQUIRE(file);
  const nlohmann::json cases = nlohmann::json::parse(file);
  CHECK(cases.size() > 300);
  for (const auto& packet_case : cases) {
    INFO(packet_case["name"].get<std::string>());
    const test::ExactBytes frame(test::hex(packet_case["frame"].get<std::string>()));
    PacketInfo info;
    const Reason reason = parse_packet(frame.span(), info);
    CHECK(text_of(fields_of(reason, info)) == text_of(fields_of(packet_case["expected"])));
    const char* const broken = test::broken_invariant(frame.span(), reason, info);
    CHECK(std::string(broken == nullptr ? "" : broken) == "");
  }
}

}  // namespace
}  // namespace xdplb
