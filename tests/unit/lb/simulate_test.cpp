// The simulation agrees with what is known: peers' bounds for Maglev, RFC 2992 for hash-threshold, and what can be
// worked out for the others.
#include "user/lb/simulate.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "user/lb/maglev.h"

namespace xdplb {
namespace {

const MethodResult& of(const SimulationResult& result, Method method) {
  return result[static_cast<size_t>(method)];
}

SimulationResult run(uint32_t m, uint32_t n, uint32_t sets, uint32_t connections = 20000) {
  return simulate({.table_size = m, .targets = n, .connections = connections, .sets = sets, .seed = 5});
}

// RFC 2992: the regions beside the one that goes from place p (of n) grow, and all further ones shift, the k-th from
// the edge by k / (n (n - 1)).
double hash_threshold_moved(double n, double p) {
  const double left = (p - 1) * p / 2, right = (n - 2 - p) * (n - 1 - p) / 2;
  return 1 / n + (left + right) / (n * (n - 1));
}

}  // namespace

TEST_CASE("simulate: hash-threshold moves half at the edge and a quarter in the middle", "[simulate]") {
  const MethodResult ten = of(run(109, 10, 20), Method::hash_threshold);
  CHECK(ten.removed.first == Approx(0.5).margin(0.005));
  CHECK(ten.removed.last == Approx(0.5).margin(0.005));
  CHECK(ten.added.last == Approx(0.5).margin(0.005));
  CHECK(ten.removed.middle == Approx(hash_threshold_moved(10, 5)).margin(0.005));
  CHECK(ten.added.middle == Approx(hash_threshold_moved(11, 5)).margin(0.005));
  double sum = 0;
  for (int p = 0; p < 10; ++p) sum += hash_threshold_moved(10, p);
  CHECK(ten.removed.average == Approx(sum / 10).margin(0.005));
  const MethodResult hundred = of(run(109, 100, 20), Method::hash_threshold);
  CHECK(hundred.removed.middle == Approx(0.25).margin(0.01));
  CHECK(hundred.added.first == Approx(0.5).margin(0.01));
  CHECK(hundred.load_least == Approx(1));
  CHECK(hundred.load_most == Approx(1));
}

TEST_CASE("simulate: Maglev stays within the bounds of peers' tests", "[simulate]") {
  struct Bound {
    uint32_t m, n, sets;
    double most;
  };
  for (const Bound& b : {Bound{109, 10, 200, 0.24}, Bound{1009, 10, 100, 0.13}, Bound{10007, 50, 20, 0.05}}) {
    const MethodResult maglev = of(run(b.m, b.n, b.sets, 5000), Method::maglev);
    INFO(b.m << ", " << b.n);
    for (const MovedShare& moved : {maglev.added, maglev.removed}) {
      for (const double share : {moved.first, moved.middle, moved.last, moved.average}) {
        CHECK(share < b.most);
        CHECK(share > 0.95 / (b.n + 1));  // what must move, less the noise of connections
      }
    }
  }
}

TEST_CASE("simulate: rendezvous moves what must move, modulo nearly all", "[simulate]") {
  const SimulationResult result = run(1009, 10, 200, 5000);
  const MethodResult rendezvous = of(result, Method::rendezvous), modulo = of(result, Method::modulo);
  for (const double share : {rendezvous.removed.first, rendezvous.removed.last, rendezvous.removed.average}) {
    CHECK(share == Approx(1.0 / 10).margin(0.003));
  }
  CHECK(rendezvous.added.average == Approx(1.0 / 11).margin(0.003));
  // Places i mod 10 and i mod 11 agree, as far as both lists are alike there, at most once in eleven.
  CHECK(modulo.added.last == Approx(10.0 / 11).margin(0.01));
  CHECK(modulo.removed.average > 0.85);
  CHECK(modulo.load_most - modulo.load_least == Approx(10.0 / 1009));
  CHECK(of(result, Method::maglev).load_most - of(result, Method::maglev).load_least == Approx(10.0 / 1009));
  // Dice: the extremes of ten shares lie 1.54 standard deviations off on average.
  CHECK(rendezvous.load_most == Approx(1 + 1.54 * std::sqrt(9.0 / 1009)).margin(0.02));
}

TEST_CASE("simulate: the same seed gives the same result, another one another", "[simulate]") {
  const SimulationInput input{.table_size = 109, .targets = 5, .connections = 1000, .sets = 3, .seed = 1};
  const auto shares = [](const SimulationInput& of_input) {
    std::vector<double> all;
    for (const MethodResult& r : simulate(of_input)) all.insert(all.end(), {r.added.average, r.removed.first});
    return all;
  };
  SimulationInput other = input;
  other.seed = 2;
  CHECK(shares(input) == shares(input));
  CHECK(shares(input) != shares(other));
}

TEST_CASE("simulate: two targets, more targets than entries", "[simulate]") {
  const SimulationResult two = run(2, 2, 50, 1000);
  CHECK(of(two, Method::hash_threshold).removed.first == Approx(0.5).margin(0.02));
  for (const MethodResult& r : run(5, 40, 3, 100)) CHECK(r.load_least <= 1);
}

}  // namespace xdplb
