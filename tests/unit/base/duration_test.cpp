#include "user/base/duration.h"

#include <catch2/catch.hpp>

#include "user/base/clock.h"

namespace xdplb {

TEST_CASE("duration: a number and its unit") {
  CHECK(parse_duration_ns("500ms") == 500 * kNsPerMs);
  CHECK(parse_duration_ns("90s") == 90 * kNsPerSec);
  CHECK(parse_duration_ns("10m") == 600 * kNsPerSec);
  CHECK(parse_duration_ns("168h") == 168 * 3600 * kNsPerSec);
  CHECK(parse_duration_ns("0s") == 0);
  for (const char* text : {"", "s", "10", "10 s", "1.5s", "-1s", "10d", "169h", "99999999999999999999s", "10sx"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration_ns(text));
  }
}

TEST_CASE("duration: what one reads at a glance") {
  CHECK(duration_text(0) == "0.0 s");
  CHECK(duration_text(340 * kNsPerMs) == "0.3 s");
  CHECK(duration_text(9960 * kNsPerMs) == "10 s");
  CHECK(duration_text(99 * kNsPerSec) == "99 s");
  CHECK(duration_text(100 * kNsPerSec) == "2 m");
  CHECK(duration_text(7200 * kNsPerSec) == "2.0 h");
}

}  // namespace xdplb
