#include "tools/common/arguments.h"

#include <catch2/catch.hpp>

namespace {

using Strings = std::vector<std::string>;

Strings normalise(std::vector<const char*> arguments) {
  return xdplb::tools::normalise_arguments(arguments, {"nconn", "srccidr"});
}

TEST_CASE("one dash, two dashes and an equals sign are the same option") {
  CHECK(normalise({"-nconn", "100"}) == Strings{"--nconn=100"});
  CHECK(normalise({"--nconn", "100"}) == Strings{"--nconn=100"});
  CHECK(normalise({"-nconn=100"}) == Strings{"--nconn=100"});
  CHECK(normalise({"--nconn=100"}) == Strings{"--nconn=100"});
}

TEST_CASE("a flag takes no value, and may be given one") {
  CHECK(normalise({"-keep", "-nconn", "1"}) == Strings{"--keep", "--nconn=1"});
  CHECK(normalise({"-reconnect=false"}) == Strings{"--reconnect=false"});
}

TEST_CASE("a value is taken as it stands") {
  CHECK(normalise({"-srccidr", "-x"}) == Strings{"--srccidr=-x"});
  CHECK(normalise({"-srccidr", "", "-keep"}) == Strings{"--srccidr", "", "--keep"});
}

TEST_CASE("help, a missing value and stray words reach the parser") {
  CHECK(normalise({"-h"}) == Strings{"--help"});
  CHECK(normalise({"-nconn"}) == Strings{"--nconn"});
  CHECK(normalise({"stray", "-"}) == Strings{"stray", "-"});
}

}  // namespace
