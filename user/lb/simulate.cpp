#include "user/lb/simulate.h"

#include <algorithm>
#include <random>

#include "user/base/check.h"
#include "user/base/hash.h"
#include "user/base/limits.h"
#include "user/lb/table_builder.h"

namespace xdplb {
namespace {

using Table = std::vector<TableIndex>;
using Hashes = std::vector<uint64_t>;

// In the order of identities. Indices are places in this list and stay with their target.
std::vector<Backend> random_targets(size_t count, std::mt19937_64& random) {
  std::vector<uint64_t> identities(count);
  for (uint64_t& identity : identities) identity = random();
  std::sort(identities.begin(), identities.end());
  std::vector<Backend> targets;
  for (size_t i = 0; i < count; ++i) {
    targets.push_back({.identity = identities[i], .weight = 1, .index = static_cast<TableIndex>(i)});
  }
  return targets;
}

std::vector<Backend> without(std::vector<Backend> targets, size_t place) {
  targets.erase(targets.begin() + static_cast<std::ptrdiff_t>(place));
  return targets;
}

TableIndex choose(const Table& table, uint64_t hash) {
  return table[reduce(hash, static_cast<uint32_t>(table.size()))];
}

double share_moved(const Table& before, const Table& after, const Hashes& connections) {
  size_t moved = 0;
  for (const uint64_t hash : connections) moved += choose(before, hash) != choose(after, hash) ? 1 : 0;
  return static_cast<double>(moved) / static_cast<double>(connections.size());
}

// How the choices of a method with and without one target differ, for one target of the list after the other.
// `varied` is the place that stands for the average in this set.
struct Comparison {
  Method method;
  uint32_t table_size;
  const Hashes& connections;

  void add_to(MovedShare& sum, const std::vector<Backend>& targets, const Table& with_all, size_t varied) const {
    sum.first += moved(targets, with_all, 0);
    sum.middle += moved(targets, with_all, targets.size() / 2);
    sum.last += moved(targets, with_all, targets.size() - 1);
    sum.average += moved(targets, with_all, varied);
  }

 private:
  [[nodiscard]] double moved(const std::vector<Backend>& targets, const Table& with_all, size_t place) const {
    return share_moved(with_all, method_table(method, without(targets, place), table_size), connections);
  }
};

void add_load(MethodResult& sum, const Table& table, size_t targets) {
  std::vector<uint32_t> entries(targets);
  for (const TableIndex index : table) ++entries[index];
  const auto [least, most] = std::minmax_element(entries.begin(), entries.end());
  const double even = static_cast<double>(table.size()) / static_cast<double>(targets);
  sum.load_least += *least / even;
  sum.load_most += *most / even;
}

void divide(MovedShare& sum, double by) {
  for (double* value : {&sum.first, &sum.middle, &sum.last, &sum.average}) *value /= by;
}

}  // namespace

std::vector<TableIndex> method_table(Method method, const std::vector<Backend>& targets, uint32_t table_size) {
  Table table(method == Method::hash_threshold ? targets.size() : table_size);
  switch (method) {
    case Method::maglev: build_table(Algorithm::maglev, targets, table); break;
    case Method::rendezvous: build_table(Algorithm::rendezvous, targets, table); break;
    case Method::modulo: build_table(Algorithm::modulo, targets, table); break;
    case Method::hash_threshold:
      // Equal regions are the entries of a table that is no longer than the list.
      std::transform(targets.begin(), targets.end(), table.begin(), [](const Backend& b) { return b.index; });
      break;
  }
  return table;
}

SimulationResult simulate(const SimulationInput& input) {
  XDPLB_CHECK(input.targets >= 2 && input.targets < kMaxServiceTargets && input.connections > 0 && input.sets > 0);
  std::mt19937_64 random(input.seed);
  SimulationResult result;
  Hashes connections(input.connections);
  for (uint32_t set = 0; set < input.sets; ++set) {
    const std::vector<Backend> more = random_targets(input.targets + size_t{1}, random);
    const std::vector<Backend> targets = without(more, input.targets);
    for (uint64_t& hash : connections) hash = random();
    // The places of all sets cover the list evenly.
    const auto place_of = [&](size_t count) { return (2 * uint64_t{set} + 1) * count / (2 * uint64_t{input.sets}); };
    for (size_t m = 0; m < kMethods; ++m) {
      const Comparison comparison{static_cast<Method>(m), input.table_size, connections};
      const Table table = method_table(comparison.method, targets, input.table_size);
      comparison.add_to(result[m].removed, targets, table, place_of(targets.size()));
      comparison.add_to(result[m].added, more, method_table(comparison.method, more, input.table_size),
                        place_of(more.size()));
      add_load(result[m], table, targets.size());
    }
  }
  for (MethodResult& r : result) {
    divide(r.added, input.sets);
    divide(r.removed, input.sets);
    r.load_least /= input.sets;
    r.load_most /= input.sets;
  }
  return result;
}

}  // namespace xdplb
