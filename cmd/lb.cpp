// xdplb lb: the balancer itself, in the foreground until SIGINT or SIGTERM.
#include <CLI/CLI.hpp>
#include <array>
#include <bit>

#include "cmd/command.h"
#include "cmd/number.h"
#include "user/base/duration.h"
#include "user/base/log.h"
#include "user/path/daemon.h"

namespace xdplb {
namespace {

struct Words {
  LbOptions lb;
  std::string mode = "auto";
  std::string zero_copy = "auto";
  std::string checksum = "auto";
  std::string event_loop = "auto";
  std::vector<std::string> lb_tier;
  std::string tx = "auto";
  std::string log = "text";
  std::string grace = "0s";
  std::string metrics;
  bool poll = false;
  bool spin = false;
  bool adaptive = false;
};

// An option that takes one of three words.
template <typename Choice>
struct Choices {
  const char* option;
  std::array<std::pair<std::string_view, Choice>, 3> words;
};

constexpr Choices<ZeroCopy> kZeroCopy = {
    "--zerocopy", {{{"auto", ZeroCopy::automatic}, {"force", ZeroCopy::force}, {"off", ZeroCopy::off}}}};
constexpr Choices<ChecksumChoice> kChecksum = {
    "--checksum",
    {{{"auto", ChecksumChoice::automatic}, {"complete", ChecksumChoice::complete}, {"none", ChecksumChoice::none}}}};
constexpr Choices<TxChoice> kTx = {
    "--tx", {{{"auto", TxChoice::automatic}, {"xsk", TxChoice::xsk}, {"live", TxChoice::live}}}};

template <typename Choice>
Result<Choice> parse_choice(const Choices<Choice>& of, const std::string& text) {
  for (const auto& [word, choice] : of.words) {
    if (text == word) return choice;
  }
  return fail("Invalid {} [{}]: {}, {} or {}", of.option, text, of.words[0].first, of.words[1].first,
              of.words[2].first);
}

constexpr uint32_t kCoalesceMax_us = 10'000;

Result<WaitOptions> check_wait(const Words& words) {
  WaitOptions wait = words.lb.wait;
  if (words.spin) wait.mode = WaitMode::spin;
  if (words.adaptive) wait.mode = WaitMode::adaptive;
  if (wait.coalesce_us != 0 && words.spin) return fail("--coalesce sleeps and --spin never does: take one of them");
  if (wait.fifo_priority != 0 && wait.mode != WaitMode::poll) {
    return fail(
        "--fifo goes with --poll alone: the kernel stops a thread that spins at real-time priority for 50 ms of "
        "every second");
  }
  return wait;
}

bool is_ring_size(uint64_t entries) {
  return std::has_single_bit(entries) && entries >= 64;
}

bool is_heartbeat(uint64_t ms) {
  return ms == 0 || ms >= 200;
}

// What has a form beyond "a number" or "a word".
Result<LbOptions> check(const Words& words) {
  LbOptions lb = words.lb;
  auto mode = parse_xdp_mode(words.mode);
  if (!mode) return mode.error();
  lb.mode = *mode;
  auto zero_copy = parse_choice(kZeroCopy, words.zero_copy);
  if (!zero_copy) return zero_copy.error();
  lb.zero_copy = *zero_copy;
  auto checksum = parse_choice(kChecksum, words.checksum);
  if (!checksum) return checksum.error();
  lb.checksum = *checksum;
  auto event_loop = parse_loop_backend(words.event_loop);
  if (!event_loop) return event_loop.error();
  lb.event_loop = *event_loop;
  for (const std::string& text : words.lb_tier) {
    auto mac = parse_mac(text);
    if (!mac) return mac.error();
    lb.lb_tier.push_back(*mac);
  }
  auto tx = parse_choice(kTx, words.tx);
  if (!tx) return tx.error();
  lb.tx = *tx;
  const auto grace_ns = parse_duration_ns(words.grace);
  if (!grace_ns) {
    return fail("Invalid --grace [{}]: a duration such as 30s or 500ms, at most {}h; 0s: none", words.grace,
                kMaxDuration_h);
  }
  lb.grace_ns = *grace_ns;
  if (!words.metrics.empty()) {
    const auto at = parse_endpoint(words.metrics, true);
    if (!at) return fail("--metrics: {}", at.error().message);
    lb.metrics = *at;
  }
  auto wait = check_wait(words);
  if (!wait) return wait.error();
  lb.wait = *wait;
  if (lb.ingress.size() > kMaxDevices) return fail("Too many interfaces in --idev: at most {}", kMaxDevices);
  for (size_t i = 0; i < lb.ingress.size(); ++i) {
    for (size_t k = 0; k < i; ++k) {
      if (lb.ingress[i] == lb.ingress[k]) return fail("Interface [{}] stands twice in --idev", lb.ingress[i]);
    }
    if (lb.ingress.size() > 1 && lb.ingress[i] == lb.egress) {
      return fail("Interface [{}] is both ingress and egress: one-arm takes a single --idev", lb.egress);
    }
  }
  return lb;
}

// A person reads the start on standard output. A log gets it as it gets everything else.
void report_start(const Daemon& daemon) {
  const bool to_log = log_style() != LogStyle::text;
  const auto say = [to_log](const std::string& line) {
    if (to_log) {
      log_line(LogLevel::info, line);
    } else {
      fmt::print("{}\n", line);
    }
  };
  for (const std::string& line : daemon.start_report()) say(line);
  for (const std::string& line : daemon.warnings()) {
    if (to_log) {
      log_line(LogLevel::warning, line);
    } else {
      fmt::print("warning: {}\n", line);
    }
  }
  say("ready");
  // Whoever waits for readiness reads a pipe.
  std::fflush(stdout);
}

Result<void> serve(const LbOptions& options) {
  auto daemon = Daemon::create(options);
  if (!daemon) return daemon.error();
  report_start(**daemon);
  return (*daemon)->run();
}

Result<int> run(const Words& words) {
  const auto style = parse_log_style(words.log);
  if (!style) return wrong_usage(fmt::format("Invalid --log [{}]: text or json", words.log));
  set_log_style(*style);
  auto options = check(words);
  if (!options) return wrong_usage(options.error().message);
  if (auto r = serve(*options); !r) {
    if (*style == LogStyle::text) return r.error();
    log_line(LogLevel::error, r.error().message);
    return kExitFailed;
  }
  return kExitDone;
}

}  // namespace

Action setup_lb(CLI::App& app) {
  auto words = std::make_shared<Words>();
  LbOptions& lb = words->lb;
  add_shm_option(app, lb.shm);
  app.add_option("--config", lb.config, "configuration file; SIGHUP reads it again");
  app.add_option("--idev", lb.ingress, "ingress interface; a list for the members of a bond")
      ->required()
      ->delimiter(',');
  app.add_option("--edev", lb.egress, "egress interface; the same as --idev: one-arm")->required();
  add_numbers(app, "--queue", lb.queues, {0, kMaxQueues - 1}, "receive queues to serve, one or a list (all)");
  add_numbers(app, "--cpus", lb.cpus, {}, "cores for the workers, in turn (all that are allowed)");
  app.add_option("--mode", words->mode, "XDP mode: auto, native, generic")->capture_default_str();
  app.add_option("--zerocopy", words->zero_copy, "auto, force, off")->capture_default_str();
  app.add_option("--checksum", words->checksum,
                 "complete partial checksums: auto (veth, tap, virtio_net), complete, none")
      ->capture_default_str();
  auto* poll = app.add_flag("--poll", words->poll, "workers sleep in poll when idle (the default)");
  auto* spin = app.add_flag("--spin", words->spin, "workers never sleep: a core each, and the shortest delay");
  spin->excludes(poll);
  app.add_flag("--adaptive", words->adaptive, "workers spin while packets come, and sleep when none do")
      ->excludes(poll)
      ->excludes(spin);
  add_number(app, "--coalesce", lb.wait.coalesce_us, {0, kCoalesceMax_us, "0 (off) to 10000 microseconds"},
             "microseconds to sleep after a batch that was not full; 0: off");
  add_number(app, "--fifo", lb.wait.fifo_priority, {0, 99, "0 (off), or a SCHED_FIFO priority from 1 to 99"},
             "SCHED_FIFO priority of the workers, with --poll; 0: off");
  app.add_option("--tx", words->tx, "way out: auto, xsk (TX ring), live (XDP frames without a socket buffer)")
      ->capture_default_str();
  add_number(app, "--batch", lb.batch, {1, kMaxTurn}, "packets of a queue in a turn of its worker");
  constexpr Numbers kRing{64, 65536, "a power of two from 64 to 65536", is_ring_size};
  add_number(app, "--rx-ring", lb.rx_ring, kRing, "entries of RX and fill rings (by the number of queues)")
      ->default_str("");
  add_number(app, "--tx-ring", lb.tx_ring, kRing, "entries of TX and completion rings (by the number of queues)")
      ->default_str("");
  add_number(app, "--flows", lb.flows, {kMinFlows, kMaxFlows}, "flows that each worker can remember");
  app.add_option("--lb-tier", words->lb_tier,
                 "ingress MACs of all balancers that share fragments, ours included, in the same order everywhere")
      ->delimiter(',');
  app.add_option("--pin-dir", lb.pin_dir, "where to pin program and maps (/sys/fs/bpf/lb, for other --shm lb-NAME)");
  add_number(app, "--heartbeat-ms", lb.heartbeat_ms,
             {.words = "0 (off), or at least 200: a sleeping worker beats every 100 ms", .fits = is_heartbeat},
             "age of a sign of life at which a worker counts as hung; 0: off");
  app.add_option("--grace", words->grace, "how long to forward on, not ready, after SIGTERM or SIGINT; 30s, 2m")
      ->capture_default_str();
  app.add_option("--metrics", words->metrics, "ADDRESS:PORT to serve /metrics, /readyz and /livez on (none)");
  app.add_option("--log", words->log, "text, or json: one object a line on standard error")->capture_default_str();
  app.add_option("--event-loop", words->event_loop, "of the control thread: auto, io_uring, epoll")
      ->capture_default_str();
  return [words] { return run(*words); };
}

}  // namespace xdplb
