#include "cmd/file_change.h"

#include "user/ctl/config_file.h"
#include "user/lb/config_diff.h"

namespace xdplb {

Result<FileChange> change_by_file(const Config& in_force, const Config& file) {
  auto merged = merge_file(in_force, file);
  if (!merged) return merged.error();
  if (auto ok = validate_config(*merged); !ok) {
    return fail("{}: with what stays of the configuration in force: {}", file.origin.file, ok.error().message);
  }
  FileChange change;
  change.lines = describe_changes(in_force, *merged);
  change.moves = table_moves(in_force, *merged);
  for (const TableMove& move : change.moves) {
    const bool has_emptied = move.change == ServiceChange::stays && move.usable_before != 0 && move.usable_after == 0;
    if (has_emptied) change.emptied.push_back(move.service);
  }
  // What no line describes is a change all the same.
  if (change.lines.empty() && *merged != in_force)
    change.lines.emplace_back("order of targets or services, or texts");
  change.after = std::move(*merged);
  return change;
}

Result<Config> read_file_for_host(const std::string& path) {
  auto config = read_config_file(path);
  if (!config) return config;
  if (auto ok = check_config_on_host(*config); !ok) return fail("{}: {}", path, ok.error().message);
  return config;
}

void print_lines(const std::string& path, const FileChange& change) {
  if (change.lines.empty()) {
    fmt::print("{}: nothing changes\n", path);
    return;
  }
  fmt::print("{}: {} change{}\n", path, change.lines.size(), change.lines.size() == 1 ? "" : "s");
  for (const std::string& line : change.lines) fmt::print("  {}\n", line);
}

void print_marks(const Config& config) {
  for (const Target& target : config.targets) {
    if (!target.by_hand) continue;
    fmt::print("note: target [{}] stays {}, above the file: `xdplb reset {}` ends that\n", target.name,
               target_state_text(target), target.name);
  }
}

std::string percent(double share) {
  constexpr double kLeastShown = 0.001;
  if (share > 0 && share < kLeastShown) return "< 0.1 %";
  if (share < 1 && share > 1 - kLeastShown) return "> 99.9 %";
  return fmt::format("{:.1f} %", share * 100);
}

}  // namespace xdplb
