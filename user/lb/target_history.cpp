#include "user/lb/target_history.h"

#include <fmt/format.h>

#include <algorithm>

namespace xdplb {
namespace {

std::string what_became(const Target& was, const Target& is) {
  const std::string state = what_it_takes(is);
  if (state == what_it_takes(was)) return was.weight == is.weight ? "" : fmt::format("got weight {}", is.weight);
  if (state == "active") return "became active";
  if (state == "draining") return "began to drain";
  if (state == "down") return "went down";
  return "lost its MAC";
}

std::map<std::string_view, const Target*> by_name(const Config& config) {
  std::map<std::string_view, const Target*> targets;
  for (const Target& target : config.targets) targets[target.name] = &target;
  return targets;
}

bool is_older(const TargetChange& a, const TargetChange& b) {
  return a.generation < b.generation;
}

}  // namespace

std::string what_it_takes(const Target& target) {
  if (!target.has_mac()) return target.address ? "not resolved" : "unused";
  switch (target.effective_state()) {
    case TargetState::active: return target.weight == 0 ? "draining" : "active";
    case TargetState::draining: return "draining";
    case TargetState::down: return "down";
  }
  return "invalid";
}

std::string TargetChange::text() const {
  return fmt::format("{} {} in generation {}", name, what, generation);
}

void TargetHistory::note(const Config& before, const Config& after, uint64_t generation) {
  const auto was = by_name(before), is = by_name(after);
  for (const auto& [name, target] : is) {
    const auto former = was.find(name);
    if (former == was.end()) {
      put(*target, "came", generation);
    } else if (std::string what = what_became(*former->second, *target); !what.empty()) {
      put(*target, std::move(what), generation);
    }
  }
  for (const auto& [name, target] : was) {
    if (is.count(name) == 0) put(*target, "left", generation);
  }
}

void TargetHistory::put(const Target& target, std::string what, uint64_t generation) {
  changes_[{target.id, target.epoch}] = {generation, target.name, std::move(what)};
  if (changes_.size() <= kTargetChangesMax) return;
  changes_.erase(std::min_element(changes_.begin(), changes_.end(),
                                  [](const auto& a, const auto& b) { return is_older(a.second, b.second); }));
}

const TargetChange* TargetHistory::of(FlowTarget target) const {
  const auto found = changes_.find({target.id, target.epoch});
  return found == changes_.end() ? nullptr : &found->second;
}

const TargetChange* TargetHistory::latest() const {
  const auto last = std::max_element(changes_.begin(), changes_.end(),
                                     [](const auto& a, const auto& b) { return is_older(a.second, b.second); });
  return last == changes_.end() ? nullptr : &last->second;
}

}  // namespace xdplb
