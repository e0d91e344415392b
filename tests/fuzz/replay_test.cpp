// The corpora of all fuzz targets, replayed with the unit tests: what a fuzzer once found stays found.
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/fuzz/fuzz.h"

namespace xdplb::fuzz {
namespace {

TEST_CASE("every fuzz target survives its corpus", "[fuzz]") {
  REQUIRE_FALSE(targets().empty());
  for (const Target& target : targets()) {
    const std::filesystem::path corpus = std::filesystem::path("tests/fuzz/corpus") / target.name;
    CAPTURE(corpus.string());
    size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(corpus)) {
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
      target.run(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
      ++files;
    }
    CHECK(files > 0);
  }
}

TEST_CASE("every corpus has its target", "[fuzz]") {
  for (const auto& entry : std::filesystem::directory_iterator("tests/fuzz/corpus")) {
    const std::string name = entry.path().filename().string();
    CAPTURE(name);
    CHECK(std::any_of(targets().begin(), targets().end(), [&](const Target& t) { return t.name == name; }));
  }
}

}  // namespace
}  // namespace xdplb::fuzz
