// What a configuration file would change, for `apply` and `plan`: worked out once, printed by both in the same way.
#pragma once

#include <string>
#include <vector>

#include "user/base/result.h"
#include "user/lb/config.h"
#include "user/lb/config_plan.h"

namespace xdplb {

struct FileChange {
  Config after;
  std::vector<std::string> lines;  // describe_changes; empty: nothing changes
  std::vector<TableMove> moves;
  std::vector<std::string> emptied;  // services that have a usable target and would have none
};

// Error: the file cannot be put in force.
Result<FileChange> change_by_file(const Config& in_force, const Config& file);

// The file, read, validated, and harmless on this host.
Result<Config> read_file_for_host(const std::string& path);

// "FILE: 2 changes" and what they are.
void print_lines(const std::string& path, const FileChange& change);

// Targets that stay as they are whatever the file says.
void print_marks(const Config& config);

// 0.334 -> "33.4 %"; what is not nothing is not printed as nothing.
std::string percent(double share);

}  // namespace xdplb
