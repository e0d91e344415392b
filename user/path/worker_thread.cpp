#include "user/path/worker_thread.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <csignal>

#include <algorithm>

#include "user/base/clock.h"

namespace xdplb {
namespace {

constexpr unsigned long kTimerSlackNs = 1'000;  // of a pause; the default is as long as the pause

// Signals are the control thread's business.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

uint32_t smallest_rx_ring(const Worker& worker) {
  uint32_t entries = UINT32_MAX;
  for (const WorkerIngress& ingress : worker.parts().ingress) entries = std::min(entries, ingress.port->rx_entries());
  return entries;
}

}  // namespace

std::string to_string(const WaitOptions& wait) {
  std::string text = wait.mode == WaitMode::poll   ? "sleeps in poll"
                     : wait.mode == WaitMode::spin ? "spins"
                                                   : "spins while busy, else sleeps in poll";
  if (wait.coalesce_us != 0) text += fmt::format(", coalesces for {} us", wait.coalesce_us);
  if (wait.fifo_priority != 0) text += fmt::format(", SCHED_FIFO {}", wait.fifo_priority);
  return text;
}

WorkerThread::WorkerThread(std::unique_ptr<Worker> worker, const WaitOptions& wait)
    : worker_(std::move(worker)), wait_(wait), pause_(wait.coalesce_us, smallest_rx_ring(*worker_)) {}

Result<std::unique_ptr<WorkerThread>> WorkerThread::start(std::unique_ptr<Worker> worker, const std::string& name,
                                                          int cpu, const WaitOptions& wait) {
  std::unique_ptr<WorkerThread> self(new WorkerThread(std::move(worker), wait));
  {
    const SignalsBlocked blocked;
    self->thread_ = std::thread([raw = self.get()] { raw->run(); });
  }
  if (auto r = self->place(name, cpu); !r) return r.error();
  return self;
}

Result<void> WorkerThread::place(const std::string& name, int cpu) {
  pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
  if (cpu >= 0) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(static_cast<size_t>(cpu), &cpus);
    if (const int rc = pthread_setaffinity_np(thread_.native_handle(), sizeof cpus, &cpus); rc != 0) {
      return fail_errno(rc, "Cannot pin worker {} to CPU {}", name, cpu);
    }
  }
  if (wait_.fifo_priority != 0) {
    const sched_param priority = {wait_.fifo_priority};
    if (const int rc = pthread_setschedparam(thread_.native_handle(), SCHED_FIFO, &priority); rc != 0) {
      return fail_errno(rc, "Cannot run worker {} at SCHED_FIFO priority {} (needs CAP_SYS_NICE)", name,
                        wait_.fifo_priority);
    }
  }
  return {};
}

WorkerThread::~WorkerThread() {
  request_stop();
  join();
}

bool WorkerThread::join() {
  if (thread_.joinable()) thread_.join();
  return drained_;
}

void WorkerThread::run() {
  prctl(PR_SET_TIMERSLACK, kTimerSlackNs);
  while (!stop_.load(std::memory_order_acquire)) {  // pairs with request_stop()
    const uint64_t start_ns = monotonic_ns();
    const uint32_t packets = worker_->turn(start_ns);
    const uint64_t now_ns = packets != 0 ? monotonic_ns() : start_ns;
    if (packets != 0) worker_->parts().counters->busy_ns.add(now_ns - start_ns);
    wait_after(packets, start_ns, now_ns);
  }
  drained_ = drain();
  worker_->release_snapshot();
}

void WorkerThread::wait_after(uint32_t packets, uint64_t start_ns, uint64_t now_ns) {
  if (packets != 0) {
    last_packet_ns_ = now_ns;
    empty_turns_ = 0;
    if (const uint64_t ns = pause_.after({packets, worker_->has_more(), start_ns, now_ns}); ns != 0) {
      const timespec pause = {0, static_cast<long>(ns)};
      nanosleep(&pause, nullptr);
    }
    return;
  }
  const bool spins = wait_.mode == WaitMode::spin ||
                     (wait_.mode == WaitMode::adaptive && now_ns - last_packet_ns_ < kAdaptiveSpinNs);
  if (!spins) return wait_for_packets();
  if (++empty_turns_ % kYieldAfterTurns == 0) {
    // It may be quiet for long: a change of the configuration must not wait for the next packet.
    worker_->release_snapshot();
    sched_yield();
  } else {
    __builtin_ia32_pause();
  }
}

void WorkerThread::wait_for_packets() {
  const WorkerParts& parts = worker_->parts();
  pollfd fds[kMaxQueues];
  nfds_t count = 0;
  for (const WorkerIngress& ingress : parts.ingress) fds[count++] = {ingress.port->fd(), POLLIN, 0};
  const uint64_t timeout_ns = worker_->sleep_max_ns(monotonic_ns());
  const timespec timeout = {static_cast<time_t>(timeout_ns / kNsPerSec), static_cast<long>(timeout_ns % kNsPerSec)};
  worker_->release_snapshot();
  ppoll(fds, count, &timeout, nullptr);
  parts.counters->wakeups.add(1);
}

bool WorkerThread::drain() {
  const uint64_t deadline_ns = monotonic_ns() + kDrainNs;
  uint64_t now_ns = monotonic_ns();
  while (worker_->turn(now_ns) && now_ns < deadline_ns) now_ns = monotonic_ns();
  worker_->drop_held();
  while (!worker_->drained(now_ns) && now_ns < deadline_ns) {
    const timespec pause = {0, 100'000};
    nanosleep(&pause, nullptr);
    now_ns = monotonic_ns();
  }
  const bool all_back = worker_->drained(now_ns);
  worker_->give_up();
  return all_back;
}

}  // namespace xdplb
