// A command of xdplb: one file of this folder each. `setup_X` adds the command's options to its CLI11 sub-command and
// returns what to run once they are parsed; main.cpp has the table.
//
// Actions return the exit code (kExitDone, ...), or an Error, whose text main prints on standard error before it
// exits with kExitFailed. Only this layer prints.
#pragma once

#include <functional>
#include <string>

#include "user/base/result.h"
#include "user/ctl/shm_file.h"

namespace CLI {
class App;
}

namespace xdplb {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitWarnings = 3;  // check, plan, doctor: done, with warnings or changes

using Action = std::function<Result<int>()>;

Action setup_init(CLI::App& app);
Action setup_activate(CLI::App& app);
Action setup_deactivate(CLI::App& app);
Action setup_show(CLI::App& app);
Action setup_clean(CLI::App& app);
Action setup_vip(CLI::App& app);
Action setup_check(CLI::App& app);
Action setup_plan(CLI::App& app);
Action setup_apply(CLI::App& app);
Action setup_export(CLI::App& app);
Action setup_reset(CLI::App& app);
Action setup_lb(CLI::App& app);
Action setup_ready(CLI::App& app);
Action setup_stats(CLI::App& app);
Action setup_flows(CLI::App& app);
Action setup_where(CLI::App& app);
Action setup_doctor(CLI::App& app);
Action setup_capture(CLI::App& app);
Action setup_replay(CLI::App& app);
Action setup_simulate(CLI::App& app);
Action setup_version(CLI::App& app);
Action setup_completion(CLI::App& app);

// Says that the command was called wrongly, and returns the exit code for it. What depends on the state of the host
// or of the balancer is an Error instead.
int wrong_usage(const std::string& message);

// The `--shm` option, the same everywhere.
void add_shm_option(CLI::App& app, std::string& name);

}  // namespace xdplb
