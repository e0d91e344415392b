// xdpsink: judges and drops what xdpgen sent. See tools/README.md.
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <optional>

#include "tools/xdpsink/report.h"
#include "tools/xdpsink/sink.h"
#include "user/base/clock.h"

namespace xdplb::xdpsink {
namespace {

sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGUSR1}) sigaddset(&set, number);
  return set;
}

// A signal, or nothing once `until_ns` has come.
std::optional<int> wait_for_signal(const sigset_t& set, uint64_t until_ns) {
  const uint64_t now = monotonic_ns();
  const uint64_t left = until_ns > now ? until_ns - now : 0;
  const timespec wait{static_cast<time_t>(left / kNsPerSec), static_cast<long>(left % kNsPerSec)};
  const int number = sigtimedwait(&set, nullptr, &wait);
  return number > 0 ? std::optional(number) : std::nullopt;
}

void print_line(const Sink& sink, const Options& options, uint32_t run) {
  fmt::print("{}\n", report(sum_counts(sink.counts()), options, monotonic_ns(), run));
  std::fflush(stdout);
}

void watch(Sink& sink, const Options& options, const sigset_t& set) {
  constexpr uint64_t kNever = 1u << 20;  // seconds
  const auto after = [](int64_t ns) {
    return monotonic_ns() + (ns == 0 ? kNever * kNsPerSec : static_cast<uint64_t>(ns));
  };
  const uint64_t end_ns = after(options.duration_ns);
  uint64_t line_ns = after(options.interval_ns);
  uint32_t run = 0;
  for (;;) {
    const auto number = wait_for_signal(set, std::min(end_ns, line_ns));
    if (number == SIGINT || number == SIGTERM || (!number && monotonic_ns() >= end_ns)) break;
    if (!number && monotonic_ns() < line_ns) continue;  // woken for nothing
    print_line(sink, options, run);
    if (number == SIGUSR1) {
      sink.reset();
      ++run;
    }
    if (!number) line_ns = after(options.interval_ns);
  }
  print_line(sink, options, run);
}

int run(int argc, const char* const* argv) {
  const Parsed parsed = parse(argc, argv);
  if (!parsed.options) return parsed.exit.print();
  const Options& options = *parsed.options;
  if (options.version) {
    fmt::print("{}\n", XDPLB_VERSION);
    return tools::kExitDone;
  }
  const sigset_t set = watched_signals();
  sigprocmask(SIG_BLOCK, &set, nullptr);
  auto ok = tools::pin_to_cpu(options.cpu);
  auto sink = ok ? Sink::create(options) : Result<Sink>(ok.error());
  if (!sink) {
    fmt::print(stderr, "xdpsink: {}\n", sink.error().message);
    return tools::kExitFailed;
  }
  fmt::print(stderr, "ready\n");
  watch(*sink, options, set);
  return tools::kExitDone;
}

}  // namespace
}  // namespace xdplb::xdpsink

int main(int argc, char** argv) {
  return xdplb::xdpsink::run(argc, argv);
}
