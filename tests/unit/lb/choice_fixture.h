// What the tests of the ways to choose (maglev, modulo, rendezvous) share.
#pragma once

#include <catch2/catch.hpp>
#include <span>
#include <vector>

#include "user/lb/maglev.h"

namespace xdplb::testing {

using Table = std::vector<TableIndex>;

// What build_maglev, build_modulo or build_rendezvous makes, over entries that are no backend's.
template <void (*kBuild)(std::span<const Backend>, std::span<TableIndex>)>
Table build_by(const std::vector<Backend>& backends, uint32_t size) {
  Table table(size, 12345);
  kBuild(backends, table);
  return table;
}

using TableOf = Table (*)(const std::vector<Backend>& backends, uint32_t size);

// A line of the *_golden.inc.
struct GoldenTable {
  const char* name;
  uint32_t size;
  std::vector<Backend> backends;
  Table table;
};

inline void check_golden(const std::vector<GoldenTable>& cases, TableOf build) {
  for (const GoldenTable& c : cases) {
    INFO(c.name);
    CHECK(build(c.backends, c.size) == c.table);
  }
}

inline void check_nothing_to_choose_from(TableOf build) {
  CHECK(build({}, 7) == Table(7, kNoBackend));
  CHECK(build({{.identity = 1, .weight = 0, .index = 4}}, 7) == Table(7, kNoBackend));
  CHECK(build({{.identity = 1, .weight = 0, .index = 4}, {.identity = 2, .weight = 1, .index = 5}}, 7) ==
        Table(7, 5));
}

}  // namespace xdplb::testing
