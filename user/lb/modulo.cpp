#include "user/lb/modulo.h"

#include <algorithm>
#include <cstdint>

namespace xdplb {
namespace {

// The turns until they repeat, or as many as the table needs.
std::vector<TableIndex> turns(const std::vector<Backend>& backends, size_t turns_max) {
  uint32_t weight_max = 0;
  for (const Backend& b : backends) weight_max = std::max(weight_max, b.weight);
  std::vector<TableIndex> order;
  std::vector<uint64_t> taken(backends.size());
  for (uint64_t round = 0; round < weight_max; ++round) {
    for (size_t i = 0; i < backends.size(); ++i) {
      if (taken[i] * weight_max > round * backends[i].weight) continue;
      ++taken[i];
      order.push_back(backends[i].index);
      if (order.size() == turns_max) return order;
    }
  }
  return order;
}

}  // namespace

void build_modulo(std::span<const Backend> backends, std::span<TableIndex> table) {
  const std::vector<TableIndex> order = turns(by_identity(backends), table.size());
  for (size_t i = 0; i < table.size(); ++i) table[i] = order.empty() ? kNoBackend : order[i % order.size()];
}

}  // namespace xdplb
