#include "user/lb/table_builder.h"

#include <algorithm>
#include <iterator>

#include "user/lb/maglev.h"
#include "user/lb/modulo.h"
#include "user/lb/rendezvous.h"

namespace xdplb {

std::vector<Backend> by_identity(std::span<const Backend> backends) {
  std::vector<Backend> sorted;
  sorted.reserve(backends.size());
  std::copy_if(backends.begin(), backends.end(), std::back_inserter(sorted),
               [](const Backend& b) { return b.weight != 0; });
  // Stable, so that in the case of equal hashes, which nobody will see, the caller's order by name decides.
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Backend& a, const Backend& b) { return a.identity < b.identity; });
  return sorted;
}

void build_table(Algorithm algorithm, std::span<const Backend> backends, std::span<TableIndex> table) {
  switch (algorithm) {
    case Algorithm::maglev: return build_maglev(backends, table);
    case Algorithm::rendezvous: return build_rendezvous(backends, table);
    case Algorithm::modulo: return build_modulo(backends, table);
  }
}

}  // namespace xdplb
