// Modulo: golden vectors of an independent implementation, evenness, and weights.
#include "user/lb/modulo.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <vector>

#include "tests/unit/lb/choice_fixture.h"

namespace xdplb {
namespace {

using testing::Table;

constexpr auto build = testing::build_by<build_modulo>;

}  // namespace

TEST_CASE("modulo: golden vectors of an independent implementation", "[modulo]") {
  testing::check_golden(
      {
#include "tests/unit/lb/modulo_golden.inc"
      },
      build);
}

TEST_CASE("modulo: entry i is the backend i mod N by identity, whatever order they come in", "[modulo]") {
  CHECK(build({{300, 1, 0}, {100, 1, 1}, {200, 1, 2}}, 7) == Table{1, 2, 0, 1, 2, 0, 1});
  CHECK(build({{100, 5, 1}, {200, 5, 2}, {300, 5, 0}}, 7) == Table{1, 2, 0, 1, 2, 0, 1});
}

TEST_CASE("modulo: nothing to choose from", "[modulo]") {
  testing::check_nothing_to_choose_from(build);
}

TEST_CASE("modulo: weights repeat a backend, spread over the round", "[modulo]") {
  CHECK(build({{100, 2, 1}, {200, 1, 2}}, 7) == Table{1, 2, 1, 1, 2, 1, 1});
  // A table shorter than a round has still all of them.
  const Table table = build({{1, 1000, 0}, {2, 1000, 1}, {3, 1, 2}}, 997);
  CHECK(std::count(table.begin(), table.end(), 0) == 498);
  CHECK(std::count(table.begin(), table.end(), 1) == 498);
  CHECK(std::count(table.begin(), table.end(), 2) == 1);
}

TEST_CASE("modulo: shares are right to within two entries a round", "[modulo]") {
  std::mt19937_64 random(7);
  for (int round = 0; round < 60; ++round) {
    std::vector<Backend> set(2 + random() % 60);
    uint64_t sum = 0;
    for (size_t i = 0; i < set.size(); ++i) {
      set[i] = {random(), 1 + static_cast<uint32_t>(random() % (round % 2 == 0 ? 10 : 1000)),
                static_cast<TableIndex>(i)};
      sum += set[i].weight;
    }
    std::vector<uint32_t> count(set.size());
    for (const TableIndex index : build(set, 10007)) ++count[index];
    for (size_t i = 0; i < set.size(); ++i) {
      CHECK(std::abs(count[i] - 10007.0 * set[i].weight / static_cast<double>(sum)) <= 2);
    }
  }
}

}  // namespace xdplb
