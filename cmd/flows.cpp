// xdplb flows: the live flows of the running daemon, by what they have in common or one by its whole key; and
// `flows flush`, which makes it forget some, so that their next packets choose a target anew.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "cmd/common.h"
#include "cmd/number.h"
#include "user/base/duration.h"
#include "user/ctl/flow_wire.h"
#include "user/lb/flow_filter.h"

namespace xdplb {
namespace {

struct Options {
  std::string shm;
  std::vector<std::string> terms;
  uint64_t limit = 100;
  bool json = false;
};

struct FlushOptions {
  std::string shm;
  std::vector<std::string> terms;
  bool all = false;
};

struct Listing {
  std::vector<FlowLine> flows;
  FlowCounts counts;
};

Result<std::string> socket_of(const std::string& shm) {
  const auto name = ShmName::parse(shm);
  if (!name) return name.error();
  return control_socket_path(name->text());
}

// Page by page: the daemon looks at a few thousand places at a time.
Result<Listing> list(const std::string& path, const Options& options) {
  Listing all;
  FlowsRequest request{options.terms, {}, 0};
  for (;;) {
    request.lines_max = static_cast<uint32_t>(std::min<uint64_t>(options.limit - all.flows.size(), kFlowLinesMax));
    auto page = ask_flows(path, request);
    if (!page) return page.error();
    all.counts.add(page->counts);
    for (FlowLine& flow : page->flows) all.flows.push_back(std::move(flow));
    if (!page->next) return all;
    request.from = *page->next;
  }
}

// A whole key, of which there is one flow in a table at most.
Result<Listing> find(const std::string& path, const Options& options) {
  auto flows = ask_flow(path, options.terms[0], options.terms[1], options.terms[2]);
  if (!flows) return flows.error();
  Listing all;
  for (const FlowLine& flow : *flows) all.counts.add(flow);
  all.flows = std::move(*flows);
  return all;
}

void print_counts(const char* what, const std::map<std::string, uint64_t>& counts) {
  if (counts.empty()) return;
  std::vector<std::string> words;
  words.reserve(counts.size());
  for (const auto& [name, n] : counts) words.push_back(fmt::format("{} {}", name, n));
  fmt::print("by {}: {}\n", what, fmt::join(words, ", "));
}

void print_text(const Listing& all) {
  if (!all.flows.empty()) {
    fmt::print("{:<6} {:<24} {:<22} {:<12} {:<12} {:<12} {:>7} {:>7} {:>7}\n", "proto", "source", "destination",
               "service", "target", "state", "age", "idle", "worker");
  }
  for (const FlowLine& f : all.flows) {
    fmt::print("{:<6} {:<24} {:<22} {:<12} {:<12} {:<12} {:>7} {:>7} {:>7}\n", f.protocol, f.src, f.dst, f.service,
               f.target.empty() ? "-" : f.target, f.state, duration_text(f.age_ns), duration_text(f.idle_ns),
               f.worker);
  }
  const uint64_t total = all.counts.total;
  const bool cut = all.flows.size() < total;
  fmt::print("{} flow{}{}\n", total, total == 1 ? "" : "s",
             cut ? fmt::format(", {} shown (--limit)", all.flows.size()) : "");
  print_counts("service", all.counts.by_service);
  print_counts("target", all.counts.by_target);
  print_counts("state", all.counts.by_state);
  print_counts("worker", all.counts.by_worker);
}

void print_json(const Listing& all) {
  nlohmann::ordered_json json = counts_to_json(all.counts);
  json["flows"] = nlohmann::ordered_json::array();
  for (const FlowLine& flow : all.flows) json["flows"].push_back(flow_to_json(flow));
  fmt::print("{}\n", json.dump());
}

Result<int> run(const Options& options) {
  const auto path = socket_of(options.shm);
  if (!path) return path.error();
  const bool is_key = !options.terms.empty() && options.terms[0].find('=') == std::string::npos;
  if (is_key && options.terms.size() != 3) {
    return wrong_usage("A flow is named by PROTO SRC:PORT DST:PORT, a filter by KEY=VALUE...");
  }
  const auto all = is_key ? find(*path, options) : list(*path, options);
  if (!all) return all.error();
  if (options.json) {
    print_json(*all);
  } else {
    print_text(*all);
  }
  return kExitDone;
}

Result<int> flush(const FlushOptions& options) {
  if (options.all != options.terms.empty()) return wrong_usage("Which flows: a filter, or --all");
  const auto path = socket_of(options.shm);
  if (!path) return path.error();
  const auto number = ask_flush(*path, options.terms);
  if (!number) return number.error();
  constexpr std::chrono::milliseconds kAskEvery{5};
  for (;;) {
    const auto state = ask_flush_state(*path, *number);
    if (!state) return state.error();
    if (state->done) {
      fmt::print("{} flow{} flushed\n", state->flushed, state->flushed == 1 ? "" : "s");
      return kExitDone;
    }
    std::this_thread::sleep_for(kAskEvery);
  }
}

}  // namespace

Action setup_flows(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_shm_option(app, options->shm);
  app.add_option("FILTER", options->terms,
                 "KEY=VALUE[,VALUE...], or one flow: PROTO SRC:PORT DST:PORT. Keys: service, target, state, worker, "
                 "proto, src, dst, sport, dport, min-idle, max-idle, min-age, max-age");
  add_number(app, "--limit", options->limit, {}, "how many to show; all are counted");
  app.add_flag("--json", options->json, "as JSON");
  CLI::App* below = app.add_subcommand("flush", "forget flows: their next packets choose a target anew");
  auto flushed = std::make_shared<FlushOptions>();
  add_shm_option(*below, flushed->shm);
  below->add_option("FILTER", flushed->terms, "as for the listing");
  below->add_flag("--all", flushed->all, "every flow");
  return [options, flushed, below] { return below->parsed() ? flush(*flushed) : run(*options); };
}

}  // namespace xdplb
