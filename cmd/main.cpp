// xdplb: the table of commands, and what they have in common: parsing, messages, exit codes.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>

#include "cmd/args.h"
#include "cmd/command.h"

namespace {

using namespace xdplb;

struct Command {
  const char* name;
  const char* summary;
  Action (*set_up)(CLI::App& app);
};

constexpr Command kCommands[] = {
    {"init", "make the shared memory, with a table of size M and N targets", setup_init},
    {"activate", "let targets take new connections", setup_activate},
    {"deactivate", "take targets out", setup_deactivate},
    {"show", "print the lookup table and the targets", setup_show},
    {"clean", "remove the shared memory", setup_clean},
    {"vip", "change and list the virtual addresses of the default service", setup_vip},
    {"check", "say what is wrong or odd about a configuration file", setup_check},
    {"plan", "say what a configuration file would move and break", setup_plan},
    {"apply", "put a configuration file in force", setup_apply},
    {"export", "print what is in force as a configuration file", setup_export},
    {"reset", "take away what was said by hand above a file", setup_reset},
    {"lb", "balance: forward what arrives for the VIPs, until SIGINT or SIGTERM", setup_lb},
    {"ready", "whether the running daemon should be sent traffic; the exit status says it", setup_ready},
    {"stats", "print the counters of the running daemon", setup_stats},
    {"flows", "list live flows, and make the balancer forget some", setup_flows},
    {"where", "what the daemon would do with a packet now, and why", setup_where},
    {"doctor", "what of this host would keep a balancer, or a server behind one, from working", setup_doctor},
    {"capture", "packets as the workers took and sent them, into a pcapng file", setup_capture},
    {"replay", "what the balancer would do with the packets of a capture", setup_replay},
    {"simulate", "how many connections move when a target comes or goes", setup_simulate},
    {"version", "print the version", setup_version},
    {"completion", "print the completion script for bash", setup_completion},
};

bool is_command(const std::string& name) {
  return std::any_of(std::begin(kCommands), std::end(kCommands),
                     [&](const Command& command) { return command.name == name; });
}

int run(CLI::App& app, const Action& action) {
  const Result<int> done = action();
  // A reader that went away, or a full disk, must not look like success.
  if (std::fflush(stdout) != 0) {
    fmt::print(stderr, "xdplb {}: cannot write to standard output\n", app.get_name());
    return kExitFailed;
  }
  if (done) return *done;
  fmt::print(stderr, "{}\n", done.error().message);
  return kExitFailed;
}

}  // namespace

// What libraries throw (out of memory, above all) ends in a message, too.
int main(int argc, char** argv) try {
  CLI::App app("xdplb: a layer-4 load balancer on AF_XDP", "xdplb");
  app.require_subcommand(0, 1);
  app.set_help_flag("-h,--help", "print this help");
  std::vector<std::pair<CLI::App*, Action>> actions;
  for (const Command& command : kCommands) {
    CLI::App* sub = app.add_subcommand(command.name, command.summary);
    actions.emplace_back(sub, command.set_up(*sub));
  }

  std::vector<std::string> args = normalise_args(argc, argv);
  if (!args.empty() && !args.front().starts_with('-') && !is_command(args.front())) {
    return wrong_usage(fmt::format("Unknown command [{}]; `xdplb --help` lists them", args.front()));
  }
  if (const auto empty = option_without_value(args)) {
    return wrong_usage(fmt::format("Nothing behind [{}]: give it a value, or leave the option out", *empty));
  }
  std::reverse(args.begin(), args.end());  // as CLI11 wants them
  try {
    app.parse(args);
  } catch (const CLI::ParseError& error) {
    // Success is --help; everything else is a usage error, whatever number CLI11 has for it.
    return app.exit(error) == 0 ? kExitDone : kExitUsage;
  }
  for (const auto& [sub, action] : actions) {
    if (sub->parsed()) return run(*sub, action);
  }
  fmt::print(stderr, "{}", app.help());
  return kExitUsage;
} catch (const std::exception& error) {
  std::fputs("xdplb: ", stderr);
  std::fputs(error.what(), stderr);
  std::fputs("\n", stderr);
  return kExitFailed;
}
