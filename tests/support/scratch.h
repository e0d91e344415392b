// Where the files of unit tests lie: tests/support/scratch gives a directory that goes with the run, even where that
// is killed. By hand, each test's own end is all that removes them.
#pragma once

#include <cstdlib>
#include <string>

namespace xdplb::testing {

inline std::string scratch(const char* name) {
  const char* const directory = std::getenv("XDPLB_TEST_SCRATCH");
  return std::string(directory != nullptr ? directory : "/dev/shm") + "/" + name;
}

}  // namespace xdplb::testing
