#include "user/ctl/shm_file.h"

#include <catch2/catch.hpp>

namespace xdplb {

TEST_CASE("shared memory: names that could leave the directory are refused") {
  for (const char* bad :
       {"", ".", "..", ".hidden", "a/b", "../x", "a b", "a\n", "123456789012345678901234567890123"}) {
    CAPTURE(bad);
    CHECK_FALSE(ShmName::parse(bad));
  }
  CHECK(ShmName::parse("xdplb").value().path(".stats") == "/dev/shm/xdplb.stats");
}

TEST_CASE("shared memory: a name that is the file of another one is refused") {
  for (const char* bad : {"xdplb.flows", "xdplb.stats", "a.b.flows"}) {
    CAPTURE(bad);
    CHECK_FALSE(ShmName::parse(bad));
  }
  CHECK(ShmName::parse("xdplb.flows").error().message ==
        "Invalid shared memory name [xdplb.flows]: what ends in .flows goes with the name before it");
  CHECK(ShmName::parse("flows.stats2"));
}

}  // namespace xdplb
