#include "user/net/ip.h"

#include <catch2/catch.hpp>

namespace xdplb {
namespace {

struct TextCase {
  const char* text;
  const char* canonical;
};

TEST_CASE("addresses are read, and written by RFC 5952", "[net][ip]") {
  const TextCase cases[] = {
      {"10.0.0.0", "10.0.0.0"},
      {"255.255.255.255", "255.255.255.255"},
      {"::ffff:10.0.0.1", "10.0.0.1"},  // the same sixteen bytes
      {"1000::", "1000::"},
      {"::", "::"},
      {"::1", "::1"},
      {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},  // lower case, no leading zeros
      {"2001:0db8::0001", "2001:db8::1"},
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},  // 4.2.2: one group is not shortened
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},           // 4.2.3: the longest run
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},     // 4.2.3: the first of equals
      {"1:0:0:0:0:0:0:0", "1::"},
      {"0:0:0:0:0:0:0:1", "::1"},
      {"0:1:0:1:0:1:0:1", "0:1:0:1:0:1:0:1"},
      {"1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"},
      {"fe80::1234:0:0:5", "fe80::1234:0:0:5"},
      {"::1.2.3.4", "::102:304"},
  };
  for (const TextCase& c : cases) {
    CAPTURE(c.text);
    const auto addr = parse_ip(c.text);
    REQUIRE(addr);
    CHECK(to_string(*addr) == c.canonical);
    CHECK(*parse_ip(to_string(*addr)) == *addr);
  }
}

TEST_CASE("an IPv4 address is ::ffff:a.b.c.d", "[net][ip]") {
  const IpAddr addr = *parse_ip("10.0.0.1");
  CHECK(addr.is_v4());
  CHECK(addr.bytes == std::array<uint8_t, 16>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1});
  CHECK_FALSE(parse_ip("::1")->is_v4());
  CHECK_FALSE(parse_ip("1::ffff:10.0.0.1")->is_v4());
}

TEST_CASE("what is not an address is refused by name", "[net][ip]") {
  for (const char* text :
       {"", "10.0.0", "10.0.0.300", "10.0.0.1.2", " 10.0.0.1", "10.0.0.1/32", "010.0.0.1", "1:2:3", "::1%eth0",
        "1::2::3", "12345::", "g::", "localhost", "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"}) {
    CAPTURE(text);
    const auto addr = parse_ip(text);
    REQUIRE_FALSE(addr);
    CHECK(addr.error().message == std::string("\"") + text + "\" is not an address");
  }
  CHECK_FALSE(parse_ip(std::string_view("10.0.0.1\0x", 10)));
}

TEST_CASE("prefixes are read and written with their length", "[net][ip]") {
  const TextCase cases[] = {
      {"10.0.0.0", "10.0.0.0/32"},
      {"10.0.0.0/32", "10.0.0.0/32"},
      {"10.0.0.0/8", "10.0.0.0/8"},
      {"0.0.0.0/0", "0.0.0.0/0"},
      {"10.0.0.128/25", "10.0.0.128/25"},
      {"1000::", "1000::/128"},
      {"1000::/4", "1000::/4"},
      {"::/0", "::/0"},
      {"1000::8000/113", "1000::8000/113"},
      {"::ffff:10.0.0.0/120", "10.0.0.0/24"},
  };
  for (const TextCase& c : cases) {
    CAPTURE(c.text);
    const auto prefix = parse_prefix(c.text);
    REQUIRE(prefix);
    CHECK(to_string(*prefix) == c.canonical);
    CHECK(*parse_prefix(to_string(*prefix)) == *prefix);
  }
  CHECK(parse_prefix("10.0.0.0/24")->len == 120);
  CHECK(parse_prefix("10.0.0.0")->is_host());
  CHECK_FALSE(parse_prefix("10.0.0.0/31")->is_host());
}

TEST_CASE("what is not a prefix is refused by name", "[net][ip]") {
  for (const char* text :
       {"", "/", "/8", "10.0.0.300/32", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08",
        "10.0.0.0/8 ", "10.0.0.0/8/8", "1000::/129", "1000::/x", "10.0.0.0/99999999999999999999"}) {
    CAPTURE(text);
    const auto prefix = parse_prefix(text);
    REQUIRE_FALSE(prefix);
    CHECK(prefix.error().message == std::string("\"") + text + "\" is not an address or prefix");
  }
}

TEST_CASE("a prefix with host bits set is refused, and the one meant is named", "[net][ip]") {
  const TextCase cases[] = {
      {"10.0.0.1/24", "10.0.0.0/24"}, {"10.255.0.0/9", "10.128.0.0/9"}, {"1.0.0.0/0", "0.0.0.0/0"},
      {"1000::1/64", "1000::/64"},    {"ffff::/15", "fffe::/15"},       {"::ffff:10.0.0.0/90", "::ffc0:0:0/90"},
  };
  for (const TextCase& c : cases) {
    CAPTURE(c.text);
    const auto prefix = parse_prefix(c.text);
    REQUIRE_FALSE(prefix);
    CHECK(prefix.error().message ==
          fmt::format("\"{}\" has bits set beyond its length; the prefix is {}", c.text, c.canonical));
  }
}

TEST_CASE("a prefix contains what shares its first bits", "[net][ip]") {
  struct Case {
    const char* prefix;
    const char* addr;
    bool inside;
  };
  const Case cases[] = {
      {"10.0.0.0/24", "10.0.0.0", true},
      {"10.0.0.0/24", "10.0.0.255", true},
      {"10.0.0.0/24", "10.0.1.0", false},
      {"10.0.0.128/25", "10.0.0.127", false},
      {"10.0.0.128/25", "10.0.0.128", true},
      {"10.0.0.0/32", "10.0.0.0", true},
      {"10.0.0.0/32", "10.0.0.1", false},
      {"0.0.0.0/0", "1.2.3.4", true},
      {"0.0.0.0/0", "1000::", false},
      {"::/0", "1.2.3.4", true},
      {"::/0", "1000::", true},
      {"1000::/64", "1000::1", true},
      {"1000::/64", "1000:0:0:1::", false},
      {"1000::/127", "1000::1", true},
      {"1000::/127", "1000::2", false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.prefix, c.addr);
    CHECK(parse_prefix(c.prefix)->contains(*parse_ip(c.addr)) == c.inside);
  }
}

}  // namespace
}  // namespace xdplb
