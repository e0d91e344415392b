// A directory in shared memory of a test's own, gone with everything in it at the end. It lies in the one that
// tests/support/scratch gives, which goes with the run even where that is killed.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include <catch2/catch.hpp>

#include "user/ctl/shm_file.h"

namespace xdplb {

class ShmTestDir {
 public:
  ShmTestDir() {
    const char* const scratch = std::getenv("XDPLB_TEST_SCRATCH");
    std::string pattern = std::string(scratch != nullptr ? scratch : "/dev/shm") + "/xdplb-test-XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~ShmTestDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ShmTestDir(const ShmTestDir&) = delete;
  ShmTestDir& operator=(const ShmTestDir&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] ShmName name(std::string_view text = "test") const {
    auto name = ShmName::parse(text, path_);
    REQUIRE(name);
    return *name;
  }

 private:
  std::string path_;
};

}  // namespace xdplb
