// Rendezvous hashing: golden vectors of an independent implementation, that nothing moves but what must, and that
// shares follow the weights.
#include "user/lb/rendezvous.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <random>
#include <vector>

#include "tests/unit/lb/choice_fixture.h"

namespace xdplb {
namespace {

using testing::Table;

constexpr auto build = testing::build_by<build_rendezvous>;

std::vector<Backend> random_set(size_t n, uint32_t weight_limit, std::mt19937_64& random) {
  std::vector<Backend> set(n);
  for (size_t i = 0; i < n; ++i) {
    set[i] = {.identity = random(),
              .weight = 1 + static_cast<uint32_t>(random() % weight_limit),
              .index = static_cast<TableIndex>(i)};
  }
  return set;
}

}  // namespace

TEST_CASE("rendezvous: golden vectors of an independent implementation", "[rendezvous]") {
  testing::check_golden(
      {
#include "tests/unit/lb/rendezvous_golden.inc"
      },
      build);
}

TEST_CASE("rendezvous: the logarithm is right to its last bit and never rises", "[rendezvous]") {
  std::mt19937_64 random(1);
  std::vector<uint64_t> hashes = {
      0, 1, 2, 3, ~uint64_t{0}, ~uint64_t{0} - 1, uint64_t{1} << 63, (uint64_t{1} << 63) - 1};
  for (int i = 0; i < 10'000; ++i) hashes.push_back(random() >> (random() % 64));
  for (const uint64_t hash : hashes) {
    const long double exact = 64 - std::log2(static_cast<long double>(hash) + 1);
    CHECK(std::abs(std::ldexp(static_cast<long double>(negative_log2(hash)), -40) - exact) < std::ldexp(1.01L, -40));
  }
  CHECK(negative_log2(0) == uint64_t{64} << 40);
  CHECK(negative_log2((uint64_t{1} << 63) - 1) == uint64_t{1} << 40);
  CHECK(negative_log2(~uint64_t{0}) == 0);
  std::sort(hashes.begin(), hashes.end());
  for (size_t i = 1; i < hashes.size(); ++i) REQUIRE(negative_log2(hashes[i]) <= negative_log2(hashes[i - 1]));
}

TEST_CASE("rendezvous: nothing to choose from", "[rendezvous]") {
  testing::check_nothing_to_choose_from(build);
}

TEST_CASE("rendezvous: neither the order nor the scale of weights matters", "[rendezvous]") {
  std::mt19937_64 random(4);
  for (int round = 0; round < 20; ++round) {
    std::vector<Backend> set = random_set(1 + random() % 30, 10, random);
    const Table table = build(set, 1009);
    std::shuffle(set.begin(), set.end(), random);
    CHECK(build(set, 1009) == table);
    for (Backend& b : set) b.weight *= 100;
    CHECK(build(set, 1009) == table);
  }
}

TEST_CASE("rendezvous: one that goes or comes moves its own entries and no other", "[rendezvous]") {
  std::mt19937_64 random(5);
  for (int round = 0; round < 40; ++round) {
    const std::vector<Backend> set = random_set(2 + random() % 30, round % 2 == 0 ? 1 : 1000, random);
    std::vector<Backend> rest = set;
    const auto gone = static_cast<TableIndex>(random() % set.size());
    rest.erase(rest.begin() + gone);
    const Table with = build(set, 997), without = build(rest, 997);
    for (size_t i = 0; i < with.size(); ++i) REQUIRE((with[i] == gone || with[i] == without[i]));
    CHECK(std::count(without.begin(), without.end(), gone) == 0);
  }
}

TEST_CASE("rendezvous: a lowered weight gives away entries and takes none", "[rendezvous]") {
  std::mt19937_64 random(6);
  for (int round = 0; round < 40; ++round) {
    std::vector<Backend> set = random_set(20, 100, random);
    set[3].weight = 100;
    const Table before = build(set, 997);
    set[3].weight = 40;
    const Table after = build(set, 997);
    CHECK(std::count(after.begin(), after.end(), 3) < std::count(before.begin(), before.end(), 3));
    for (size_t i = 0; i < before.size(); ++i) REQUIRE((before[i] == 3 || before[i] == after[i]));
  }
}

// Five standard deviations of a binomial: one backend in a million or so would miss it.
TEST_CASE("rendezvous: shares follow the weights as dice would", "[rendezvous]") {
  std::mt19937_64 random(7);
  const uint32_t size = 65537;
  for (const uint32_t weight_limit : {1u, 3u, 1000u}) {
    for (const size_t n : {2u, 10u, 200u}) {
      const std::vector<Backend> set = random_set(n, weight_limit, random);
      double sum = 0;
      for (const Backend& b : set) sum += b.weight;
      std::vector<uint32_t> count(n);
      for (const TableIndex index : build(set, size)) ++count[index];
      for (size_t i = 0; i < n; ++i) {
        const double p = set[i].weight / sum;
        CHECK(std::abs(count[i] - p * size) <= 5 * std::sqrt(size * p * (1 - p)) + 1);
      }
    }
  }
}

}  // namespace xdplb
