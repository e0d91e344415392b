// xdplb apply: puts a configuration file in force, whole or not at all, and says what that changes.
#include <CLI/CLI.hpp>
#include <cerrno>
#include <charconv>

#include "cmd/common.h"
#include "cmd/file_change.h"
#include "user/ctl/config_file.h"

namespace xdplb {
namespace {

struct Options {
  std::string shm;
  std::string path;
  std::string max_moved;
  bool dry_run = false;
  bool force = false;
};

constexpr double kAnyShare = 2;

// "2%" or "2": a share of at most 0.02.
Result<double> parse_max_moved(std::string_view text) {
  if (text.empty()) return kAnyShare;
  std::string_view number = text;
  if (number.ends_with('%')) number.remove_suffix(1);
  double percents = -1;
  const auto [rest, error] = std::from_chars(number.data(), number.data() + number.size(), percents);
  if (error == std::errc{} && rest == number.data() + number.size() && percents >= 0 && percents <= 100) {
    return percents / 100;
  }
  return fail("Invalid --max-moved [{}]: a share in percent, 0 to 100, as 2% or 0.5%", text);
}

void print_moves(const FileChange& change) {
  for (const TableMove& move : change.moves) {
    switch (move.change) {
      case ServiceChange::added:
        fmt::print("service [{}] begins, {} usable target{}\n", move.service, move.usable_after,
                   move.usable_after == 1 ? "" : "s");
        break;
      case ServiceChange::removed: fmt::print("service [{}] ends: its connections break\n", move.service); break;
      case ServiceChange::stays:
        fmt::print("service [{}]: {} of the table moves, {} usable target{} (was {})\n", move.service,
                   percent(move.share), move.usable_after, move.usable_after == 1 ? "" : "s", move.usable_before);
        break;
    }
  }
}

// Why the change must not happen, or nothing.
Result<void> check_allowed(const FileChange& change, const Options& options, double max_moved) {
  for (const TableMove& move : change.moves) {
    if (move.share <= max_moved) continue;
    return fail("{} of the table of service [{}] would move, more than --max-moved {}: nothing was changed",
                percent(move.share), move.service, options.max_moved);
  }
  if (!change.emptied.empty() && !options.force) {
    return fail("service [{}] would have no usable target left: nothing was changed; --force if meant",
                change.emptied.front());
  }
  return {};
}

Result<int> dry_run(const Config& in_force, const Config& file, const Options& options, double max_moved) {
  const auto change = change_by_file(in_force, file);
  if (!change) return change.error();
  print_lines(options.path, *change);
  print_moves(*change);
  print_marks(change->after);
  if (auto ok = check_allowed(*change, options, max_moved); !ok) return ok.error();
  if (change->lines.empty()) return kExitDone;
  fmt::print("dry run: nothing was changed\n");
  return kExitWarnings;
}

// Difference and refusals are worked out under the lock, from what is replaced.
Result<int> apply(ConfigStore& store, const Config& file, const Options& options, double max_moved) {
  std::optional<FileChange> change;
  const auto generation = store.update([&](Config& in_force) -> Result<void> {
    auto made = change_by_file(in_force, file);
    if (!made) return made.error();
    change = std::move(*made);
    if (auto ok = check_allowed(*change, options, max_moved); !ok) return ok;
    in_force = change->after;
    return {};
  });
  if (change) {
    print_lines(options.path, *change);
    print_moves(*change);
    print_marks(change->after);
  }
  if (!generation) return generation.error();
  return report_in_force(store, *generation);
}

Result<int> run(const Options& options) {
  const auto max_moved = parse_max_moved(options.max_moved);
  if (!max_moved) return wrong_usage(max_moved.error().message);
  const auto file = read_file_for_host(options.path);
  if (!file) return file.error();
  auto store = open_store(options.shm, options.dry_run ? ConfigStore::Access::read : ConfigStore::Access::write);
  if (!store && store.error().sys_errno != ENOENT) return store.error();
  if (options.dry_run) {
    if (!store) return dry_run(Config{}, *file, options, *max_moved);
    const auto stored = store->read();
    return stored ? dry_run(stored->config, *file, options, *max_moved) : Result<int>(stored.error());
  }
  if (!store) {
    const auto name = ShmName::parse(options.shm);
    if (!name) return name.error();
    const auto made = ConfigStore::create(*name, *file);
    if (made) {
      fmt::print("{} is made, from {}\n", name->path(), options.path);
      return report_in_force(*made, 1);
    }
    if (made.error().sys_errno != EEXIST) return made.error();
    // Somebody else was quicker by a moment.
    store = ConfigStore::open(*name, ConfigStore::Access::write);
    if (!store) return store.error();
  }
  return apply(*store, *file, options, *max_moved);
}

}  // namespace

Action setup_apply(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_shm_option(app, options->shm);
  app.add_option("FILE", options->path, "configuration file (JSON)")->required();
  app.add_flag("--dry-run", options->dry_run,
               "say what would change, change nothing; exit code 3 where something would");
  app.add_option("--max-moved", options->max_moved, "refuse where more of any service's table would move, as 2%");
  app.add_flag("--force", options->force, "even if a service is left without a usable target");
  return [options] { return run(*options); };
}

}  // namespace xdplb
