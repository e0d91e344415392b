#include "user/path/worker_thread.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <csignal>

#include <algorithm>

#include "user/base/clock.h"

namespace xdplb {
namespace {

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

}  // namespace

WorkerThread::WorkerThread(std::unique_ptr<Worker> worker, WaitMode wait) : worker_(std::move(worker)), wait_(wait) {}

Result<std::unique_ptr<WorkerThread>> WorkerThread::start(std::unique_ptr<Worker> worker, const std::string& name,
                                                          int cpu, WaitMode wait) {
  std::unique_ptr<WorkerThread> self(new WorkerThread(std::move(worker), wait));
  {
    const SignalsBlocked blocked;
    self->thread_ = std::thread([raw = self.get()] { raw->run(); });
  }
  pthread_setname_np(self->thread_.native_handle(), name.substr(0, 15).c_str());
  if (cpu >= 0) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(static_cast<size_t>(cpu), &cpus);
    if (const int rc = pthread_setaffinity_np(self->thread_.native_handle(), sizeof cpus, &cpus); rc != 0) {
      return fail_errno(rc, "Cannot pin worker {} to CPU {}", name, cpu);
    }
  }
  return self;
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
  while (!stop_.load(std::memory_order_acquire)) {  // pairs with request_stop()
    const uint64_t start_ns = monotonic_ns();
    if (worker_->turn(start_ns)) {
      worker_->parts().counters->busy_ns.add(monotonic_ns() - start_ns);
    } else if (wait_ == WaitMode::poll) {
      wait_for_packets();
    } else {
      __builtin_ia32_pause();
    }
  }
  drained_ = drain();
  worker_->prepare_sleep();
}

void WorkerThread::wait_for_packets() {
  const WorkerParts& parts = worker_->parts();
  pollfd fds[kMaxQueues];
  nfds_t count = 0;
  for (const WorkerIngress& ingress : parts.ingress) fds[count++] = {ingress.port->fd(), POLLIN, 0};
  const uint64_t timeout_ns = worker_->sleep_max_ns(monotonic_ns());
  const timespec timeout = {static_cast<time_t>(timeout_ns / kNsPerSec), static_cast<long>(timeout_ns % kNsPerSec)};
  worker_->prepare_sleep();
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
