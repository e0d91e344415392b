// TargetHistory: in which generation what targets take last changed, and how: "vm-003 began to drain in generation
// 14". So `where` can say why a flow has another target than the table would give it now.
//
// Fed with every configuration that comes into force; what was before the first is not known. Bounded: one change a
// target, those that are gone included, and the oldest is forgotten where there are more than kTargetChangesMax.
// Control thread only.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "user/lb/config.h"
#include "user/lb/flow_layout.h"

namespace xdplb {

inline constexpr size_t kTargetChangesMax = 8192;  // some 1 MiB

// What it takes now, in a word: "active", "draining", "down"; "not resolved" or "unused" without a MAC.
std::string what_it_takes(const Target& target);

struct TargetChange {
  uint64_t generation = 0;
  std::string name;
  std::string what;  // "came", "left", "began to drain", ...

  [[nodiscard]] std::string text() const;
};

class TargetHistory {
 public:
  // `after` is in force from `generation` on, `before` was until then.
  void note(const Config& before, const Config& after, uint64_t generation);

  // Null where it did not change since the daemon started. Valid until the next note().
  [[nodiscard]] const TargetChange* of(FlowTarget target) const;
  // The last one of all; null where there is none.
  [[nodiscard]] const TargetChange* latest() const;

 private:
  void put(const Target& target, std::string what, uint64_t generation);

  std::map<std::pair<uint16_t, uint16_t>, TargetChange>
      changes_;  // by id and epoch: a name's, for as long as it lives
};

}  // namespace xdplb
