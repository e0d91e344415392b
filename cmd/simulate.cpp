// xdplb simulate: how many connections move when a target comes or goes, by the way in which targets are chosen.
// Needs neither configuration nor daemon.
#include <CLI/CLI.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cmd/command.h"
#include "cmd/number.h"
#include "cmd/simulate_chart.h"
#include "user/base/limits.h"
#include "user/lb/maglev.h"
#include "user/lb/rendezvous.h"

namespace xdplb {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint32_t kMaxConnections = 10'000'000;
constexpr uint32_t kMaxSets = 100'000;

struct Options {
  SimulationInput input;
  std::string svg;
  bool json = false;
};

Result<void> check_input(SimulationInput& input) {
  if (uint64_t{input.table_size} * (input.targets + 1) > kMaxRendezvousScores) {
    return fail("A table of {} with {} targets is too large for rendezvous: at most {} entries times targets",
                input.table_size, input.targets + 1, kMaxRendezvousScores);
  }
  if (!is_prime(input.table_size)) {
    const uint32_t prime = prime_at_most(input.table_size);
    fmt::print(stderr, "M={} is not a prime, using {}\n", input.table_size, prime);
    input.table_size = prime;
  }
  return {};
}

void print_row(const char* name, const MovedShare& added, const MovedShare& removed) {
  fmt::print("{:<15}", name);
  for (const MovedShare& moved : {added, removed}) {
    fmt::print("  {:7.1f} {:7.1f} {:7.1f} {:7.1f}", 100 * moved.first, 100 * moved.middle, 100 * moved.last,
               100 * moved.average);
  }
}

void print_text(const SimulationInput& input, const SimulationResult& result) {
  const uint32_t n = input.targets;
  fmt::print("{} sets of {} targets, M={}, {} connections each, seed {}\n\n", input.sets, n, input.table_size,
             input.connections, input.seed);
  fmt::print("percent of the     {:<33} {:<33} load of targets,\n", fmt::format("one added to {}", n),
             fmt::format("one of {} removed", n));
  fmt::print("connections moved  first  middle    last average    first  middle    last average  least to most\n");
  for (size_t m = 0; m < kMethods; ++m) {
    print_row(kMethodNames[m], result[m].added, result[m].removed);
    fmt::print("  {:5.1f} to {:.1f}\n", 100 * result[m].load_least, 100 * result[m].load_most);
  }
  const double add = 1.0 / (n + 1), remove = 1.0 / n;
  print_row("must move", {add, add, add, add}, {remove, remove, remove, remove});
  fmt::print("\n\nA place is that in the list of targets. Load is in percent of an even share.\n");
}

Json to_json(const MovedShare& moved) {
  return {{"first", moved.first}, {"middle", moved.middle}, {"last", moved.last}, {"average", moved.average}};
}

Json to_json(const SimulationInput& input, const SimulationResult& result) {
  Json json = {{"m", input.table_size},
               {"n", input.targets},
               {"connections", input.connections},
               {"sets", input.sets},
               {"seed", input.seed},
               {"must_move", {{"added", 1.0 / (input.targets + 1)}, {"removed", 1.0 / input.targets}}}};
  for (size_t m = 0; m < kMethods; ++m) {
    json["methods"][kMethodNames[m]] = {{"added", to_json(result[m].added)},
                                        {"removed", to_json(result[m].removed)},
                                        {"load", {{"least", result[m].load_least}, {"most", result[m].load_most}}}};
  }
  return json;
}

Result<int> run(Options options) {
  if (auto ok = check_input(options.input); !ok) return wrong_usage(ok.error().message);
  std::ofstream svg;
  if (!options.svg.empty()) {
    svg.open(options.svg, std::ios::binary | std::ios::trunc);
    if (!svg) return fail_errno(errno, "Cannot write {}", options.svg);
  }
  const SimulationResult result = simulate(options.input);
  if (svg.is_open()) {
    svg << simulation_chart(options.input, result) << std::flush;
    if (!svg) return fail("Cannot write {}", options.svg);
  }
  if (options.json) {
    fmt::print("{}\n", to_json(options.input, result).dump(1));
  } else {
    print_text(options.input, result);
  }
  return kExitDone;
}

}  // namespace

Action setup_simulate(CLI::App& app) {
  auto options = std::make_shared<Options>();
  SimulationInput& input = options->input;
  add_number(app, "--m", input.table_size, {kMinTableSize, kMaxTableSize},
             "size of the tables, rounded down to a prime");
  add_number(app, "--n", input.targets, {2, kMaxServiceTargets - 1}, "targets, before one comes or goes");
  add_number(app, "--connections", input.connections, {1, kMaxConnections}, "connections of each set");
  add_number(app, "--sets", input.sets, {1, kMaxSets}, "sets of random targets to average over");
  add_number(app, "--seed", input.seed, {}, "of all that is random");
  app.add_option("--svg", options->svg, "draw it, to this file");
  app.add_flag("--json", options->json, "print it as JSON");
  return [options] { return run(*options); };
}

}  // namespace xdplb
