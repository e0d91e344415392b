#include "user/net/mac.h"

#include <catch2/catch.hpp>

#include "user/net/rewrite.h"

namespace xdplb {
namespace {

TEST_CASE("a MAC is six hexadecimal numbers of one or two digits", "[net][mac]") {
  struct Case {
    const char* text;
    const char* canonical;
  };
  const Case cases[] = {
      {"0:0:0:1:1:1", "00:00:00:01:01:01"},
      {"00:00:00:01:01:01", "00:00:00:01:01:01"},
      {"02:aB:Cd:EF:f:0", "02:ab:cd:ef:0f:00"},
      {"ff:ff:ff:ff:ff:ff", "ff:ff:ff:ff:ff:ff"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    const auto mac = parse_mac(c.text);
    REQUIRE(mac);
    CHECK(to_string(*mac) == c.canonical);
  }
}

TEST_CASE("what is not a MAC is refused by name", "[net][mac]") {
  for (const char* text :
       {"zz", "", ":", "1:2:3:4:5", "1:2:3:4:5:6:7", "1:2:3:4:5:6:", ":1:2:3:4:5:6", "1:2:3:4:5:", "1::3:4:5:6",
        "001:2:3:4:5:6", "100:2:3:4:5:6", "1:2:3:4:5:g", "-1:2:3:4:5:6", "+1:2:3:4:5:6", "0x1:2:3:4:5:6",
        " 1:2:3:4:5:6", "1:2:3:4:5:6 ", "1-2-3-4-5-6", "000102030405"}) {
    CAPTURE(text);
    const auto mac = parse_mac(text);
    REQUIRE_FALSE(mac);
    CHECK(mac.error().message == std::string("Parse MAC failed [") + text + "]");
  }
}

TEST_CASE("zero, multicast and broadcast are told apart", "[net][mac]") {
  CHECK(MacAddr{}.is_zero());
  CHECK_FALSE(MacAddr{}.is_multicast());
  CHECK(parse_mac("1:0:5e:0:0:1")->is_multicast());
  CHECK(parse_mac("ff:ff:ff:ff:ff:ff")->is_multicast());
  CHECK_FALSE(parse_mac("2:0:0:0:0:1")->is_multicast());
  CHECK_FALSE(parse_mac("0:0:0:0:0:1")->is_zero());
}

TEST_CASE("rewriting writes both addresses and nothing else", "[net][rewrite]") {
  uint8_t frame[16];
  std::memset(frame, 0xee, sizeof frame);
  rewrite_macs(frame, *parse_mac("1:2:3:4:5:6"), *parse_mac("a:b:c:d:e:f"));
  const uint8_t expected[16] = {1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 0xee, 0xee, 0xee, 0xee};
  CHECK(std::memcmp(frame, expected, sizeof frame) == 0);
}

}  // namespace
}  // namespace xdplb
