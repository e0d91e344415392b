// The words of the configuration file, in one place for reading and writing. Lists are in the order of the
// enumerators.
#pragma once

#include <netinet/in.h>

#include <array>
#include <span>
#include <string_view>
#include <utility>

#include "user/lb/config.h"

namespace xdplb {

using NameList = std::span<const std::string_view>;

inline constexpr std::array<std::string_view, 3> kTargetStateNames = {"active", "draining", "down"};
inline constexpr std::array<std::string_view, 2> kUnreachableNames = {"remove", "keep"};
inline constexpr std::array<std::string_view, 2> kOnEmptyNames = {"drop", "pass"};
inline constexpr std::array<std::string_view, 3> kHashFieldsNames = {"five_tuple", "addresses", "source"};
inline constexpr std::array<std::string_view, 3> kAlgorithmNames = {"maglev", "rendezvous", "modulo"};
inline constexpr std::array<std::string_view, 2> kFallbackNames = {"drop", "pass"};

inline constexpr std::array<std::pair<std::string_view, uint8_t>, 5> kProtocolNames = {{
    {"any", kAnyProtocol},
    {"tcp", IPPROTO_TCP},
    {"udp", IPPROTO_UDP},
    {"sctp", IPPROTO_SCTP},
    {"icmp", IPPROTO_ICMP},
}};

inline constexpr std::array<std::pair<std::string_view, uint32_t Timeouts::*>, 6> kTimeoutNames = {{
    {"tcp_syn_s", &Timeouts::tcp_syn_s},
    {"tcp_established_s", &Timeouts::tcp_established_s},
    {"tcp_fin_s", &Timeouts::tcp_fin_s},
    {"tcp_rst_s", &Timeouts::tcp_rst_s},
    {"udp_s", &Timeouts::udp_s},
    {"other_s", &Timeouts::other_s},
}};

template <typename Enum>
std::string_view enum_name(NameList names, Enum value) {
  return names[static_cast<size_t>(value)];
}

}  // namespace xdplb
