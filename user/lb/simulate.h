// Simulation: how many connections another choice of target would meet when targets come and go, for each way to
// choose. What it tells is the choice alone: a flow that is in a flow table stays where it is.
//
// A pure function: random sets of targets and random connections come from the seed, by a generator that the C++
// standard fixes to the bit, so equal input gives equal results on every machine.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "user/lb/backend.h"

namespace xdplb {

// hash_threshold: ECMP as routers do it (RFC 2992): the hash space is cut into as many equal regions as there are
// targets, in the order of a list. It has no table, so M means nothing to it.
enum class Method : uint8_t { maglev, rendezvous, modulo, hash_threshold };
inline constexpr size_t kMethods = 4;

struct SimulationInput {
  uint32_t table_size = 997;      // prime
  uint32_t targets = 10;          // 2..kMaxServiceTargets - 1, before one comes or goes
  uint32_t connections = 100000;  // of each set
  uint32_t sets = 100;
  uint64_t seed = 1;
};

// The share of connections that move, 0 to 1, averaged over the sets, by the place of the one that comes or goes in
// the list, which is in the order of identities.
struct MovedShare {
  double first = 0;
  double middle = 0;
  double last = 0;
  double average = 0;  // of all places: each set tries another one
};

struct MethodResult {
  MovedShare added;    // targets -> targets + 1
  MovedShare removed;  // targets -> targets - 1
  // What hash space the targets with the least and the most of it have, in even shares; averaged over the sets.
  double load_least = 0;
  double load_most = 0;
};

using SimulationResult = std::array<MethodResult, kMethods>;  // by Method

SimulationResult simulate(const SimulationInput& input);

// The table of a method, for targets whose order by identity is that in which they are given. A connection with hash
// h goes to entry reduce(h, size) of it.
std::vector<TableIndex> method_table(Method method, const std::vector<Backend>& targets, uint32_t table_size);

}  // namespace xdplb
