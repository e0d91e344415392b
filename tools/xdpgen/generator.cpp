#include "tools/xdpgen/generator.h"

#include <bpf/bpf.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "user/base/clock.h"
#include "user/base/unique_fd.h"

namespace xdplb::xdpgen {
namespace {

// A call lasts about so long: its own cost disappears, and a signal or the end is soon noticed.
constexpr double kCallSeconds = 0.01;
constexpr uint64_t kFullSpeedCall = 32'768;  // packets

Result<MacAddr> mac_of(const std::string& device) {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  device.copy(request.ifr_name, IFNAMSIZ - 1);
  if (ioctl(fd.get(), SIOCGIFHWADDR, &request) != 0) {
    return fail_errno(errno, "Cannot read the address of [{}]", device);
  }
  MacAddr mac;
  std::memcpy(mac.bytes.data(), request.ifr_hwaddr.sa_data, mac.bytes.size());
  return mac;
}

}  // namespace

Result<Generator> Generator::create(const Options& options) {
  const std::span object(tools::xdpgen_kern_object, tools::xdpgen_kern_object_end);
  auto program = tools::Program::attach(object, "xdpgen", options.device);
  if (!program) return program.error();
  auto run = program->map<xdpgen_run>("xdpgen_map");
  if (!run) return run.error();
  auto mac = mac_of(options.device);
  if (!mac) return mac.error();
  Template packet = make_template(options, *mac);
  packet.run.ifindex = program->ifindex();
  return Generator(options, std::move(packet), std::move(*program), run->data());
}

Result<Sent> Generator::run(const std::atomic<bool>& stop) {
  const uint64_t began_ns = monotonic_ns();
  *run_ = packet_.run;
  run_->due = began_ns << XDPGEN_TIME_SHIFT;
  run_->now_ns = began_ns;
  run_->armed = 1;
  Result<void> ok;
  while (ok && !stop) {
    const uint64_t left = packets_left(monotonic_ns(), began_ns);
    if (left == 0) break;
    wait_until_due();
    ok = call(static_cast<uint32_t>(std::min(left, packets_a_call())));
  }
  run_->armed = 0;
  if (!ok) return ok.error();
  return Sent{run_->sent, monotonic_ns() - began_ns, run_->lost_ns};
}

// An interrupted call is no error: the program has counted what it sent.
Result<void> Generator::call(uint32_t packets) {
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = packet_.frame.data();
  options.data_size_in = static_cast<uint32_t>(packet_.frame.size());
  options.repeat = static_cast<int>(packets);
  options.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
  options.batch_size = std::min(packets, options_.batch);
  const int rc = bpf_prog_test_run_opts(program_.fd(), &options);
  if (rc != 0 && rc != -EINTR) return fail_errno(-rc, "Cannot send live frames from [{}]", options_.device);
  return {};
}

uint64_t Generator::packets_a_call() const {
  if (options_.rate == 0) return kFullSpeedCall;
  const auto batch_ns = static_cast<uint64_t>(1e9 / options_.rate * options_.batch);
  if (batch_ns > XDPGEN_WAIT_MAX_NS) return options_.batch;
  return std::max(static_cast<uint64_t>(options_.rate * kCallSeconds), uint64_t{options_.batch});
}

uint64_t Generator::packets_left(uint64_t now, uint64_t began_ns) const {
  uint64_t left = ~uint64_t{0};
  if (options_.count != 0) left = options_.count - std::min<uint64_t>(options_.count, run_->sent);
  if (options_.duration_ns == 0) return left;
  const auto duration_ns = static_cast<uint64_t>(options_.duration_ns);
  if (now - began_ns >= duration_ns) return 0;
  if (options_.rate == 0) return left;
  // Those that the schedule has until the end.
  const double rest_s = static_cast<double>(duration_ns - (now - began_ns)) * 1e-9;
  return std::min(left, static_cast<uint64_t>(rest_s * options_.rate) + 1);
}

// The program waits with interrupts of the network held up, so only for short.
void Generator::wait_until_due() const {
  const uint64_t due_ns = run_->due >> XDPGEN_TIME_SHIFT;
  if (due_ns < monotonic_ns() + XDPGEN_WAIT_MAX_NS) return;
  const uint64_t wake_ns = due_ns - XDPGEN_WAIT_MAX_NS / 2;
  const timespec at{static_cast<time_t>(wake_ns / kNsPerSec), static_cast<long>(wake_ns % kNsPerSec)};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr);
}

}  // namespace xdplb::xdpgen
