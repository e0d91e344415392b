#include "tools/common/duration.h"

#include <catch2/catch.hpp>
#include <string>

namespace {

using xdplb::tools::parse_duration;

TEST_CASE("durations are read as Go reads them") {
  struct Case {
    const char* text;
    int64_t ns;
  };
  const Case cases[] = {
      {"0", 0},
      {"0s", 0},
      {"10s", 10'000'000'000},
      {"1.5s", 1'500'000'000},
      {".5s", 500'000'000},
      {"1.s", 1'000'000'000},
      {"1m", 60'000'000'000},
      {"1h2m3s", 3'723'000'000'000},
      {"250ms", 250'000'000},
      {"2us", 2'000},
      {"2\u00b5s", 2'000},
      {"7ns", 7},
      {"-3s", -3'000'000'000},
      {"+3s", 3'000'000'000},
  };
  for (const Case& c : cases) {
    INFO(c.text);
    const auto result = parse_duration(c.text);
    REQUIRE(result);
    CHECK(*result == c.ns);
  }
}

TEST_CASE("what is no duration is refused, and the message names it") {
  for (const std::string text : {"", "-", "10", "s", "1x", "1s2", ".s", "1 s", "s1", "1ss", "9999999h"}) {
    INFO(text);
    const auto result = parse_duration(text);
    REQUIRE_FALSE(result);
    CHECK(result.error().message.find('"' + text + '"') != std::string::npos);
  }
}

}  // namespace
