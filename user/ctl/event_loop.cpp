#include "user/ctl/event_loop.h"

#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "user/base/clock.h"

namespace xdplb {

Result<LoopBackend> parse_loop_backend(std::string_view text) {
  if (text == "auto") return LoopBackend::automatic;
  if (text == "io_uring") return LoopBackend::io_uring;
  if (text == "epoll") return LoopBackend::epoll;
  return fail("Unknown event loop [{}]: auto, io_uring or epoll", text);
}

Result<std::unique_ptr<EventLoop>> EventLoop::create(LoopBackend backend) {
  std::string fallback_reason;
  if (backend != LoopBackend::epoll) {
    auto poller = make_io_uring_poller();
    if (poller) return std::unique_ptr<EventLoop>(new EventLoop(std::move(*poller), ""));
    if (backend == LoopBackend::io_uring) return poller.error();
    // Whatever the cause: the daemon has to run, and both back ends do the same.
    fallback_reason = poller.error().message;
  }
  auto poller = make_epoll_poller();
  if (!poller) return poller.error();
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(*poller), std::move(fallback_reason)));
}

EventLoop::EventLoop(std::unique_ptr<Poller> poller, std::string fallback_reason)
    : poller_(std::move(poller)), fallback_reason_(std::move(fallback_reason)) {}

EventLoop::~EventLoop() {
  while (!watches_.empty()) remove(watches_.begin()->first);
}

Result<WatchId> EventLoop::add(int fd, Interest interest, UniqueFd owned, std::function<void()> ready) {
  const WatchId id = next_id_++;
  if (auto ok = poller_->add(fd, id, interest); !ok) return ok.error();
  watches_.emplace(id, std::make_shared<Watch>(Watch{fd, interest, std::move(owned), std::move(ready)}));
  return id;
}

Result<WatchId> EventLoop::watch_fd(int fd, std::function<void()> readable) {
  return add(fd, Interest::readable, UniqueFd{}, std::move(readable));
}

Result<WatchId> EventLoop::watch_writable(int fd, std::function<void()> writable) {
  return add(fd, Interest::writable, UniqueFd{}, std::move(writable));
}

Result<WatchId> EventLoop::every(uint64_t period_ns, std::function<void()> tick) {
  XDPLB_CHECK(period_ns > 0);
  UniqueFd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!timer.is_open()) return fail_errno(errno, "Cannot create a timer");
  const timespec period{static_cast<time_t>(period_ns / kNsPerSec), static_cast<long>(period_ns % kNsPerSec)};
  const itimerspec setting{period, period};
  if (::timerfd_settime(timer.get(), 0, &setting, nullptr) != 0) return fail_errno(errno, "Cannot set a timer");
  const int fd = timer.get();
  return add(fd, Interest::readable, std::move(timer), [fd, tick = std::move(tick)] {
    uint64_t expirations = 0;
    if (::read(fd, &expirations, sizeof expirations) == sizeof expirations) tick();
  });
}

Result<WatchId> EventLoop::on_signals(std::initializer_list<int> signals, std::function<void(int)> handler) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  if (const int error = ::pthread_sigmask(SIG_BLOCK, &set, nullptr)) return fail_errno(error, "Cannot block signals");
  UniqueFd source(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!source.is_open()) return fail_errno(errno, "Cannot create a signalfd");
  const int fd = source.get();
  return add(fd, Interest::readable, std::move(source), [fd, handler = std::move(handler)] {
    signalfd_siginfo info;
    if (::read(fd, &info, sizeof info) == sizeof info) handler(static_cast<int>(info.ssi_signo));
  });
}

void EventLoop::remove(WatchId id) {
  const auto found = watches_.find(id);
  if (found == watches_.end()) return;
  poller_->remove(found->second->fd, id);
  watches_.erase(found);
}

Result<uint32_t> EventLoop::run_once(int timeout_ms) {
  ready_.clear();
  if (auto ok = poller_->wait(timeout_ms, ready_); !ok) return ok.error();
  uint32_t called = 0;
  for (const WatchId id : ready_) {
    const auto found = watches_.find(id);
    if (found == watches_.end()) continue;  // removed by a callback of this turn
    // A callback may remove its own watch; what it runs in must outlive that.
    const std::shared_ptr<Watch> watch = found->second;
    watch->ready();
    ++called;
    if (watches_.contains(id)) poller_->rearm(watch->fd, id, watch->interest);
  }
  return called;
}

Result<void> EventLoop::run() {
  stopping_ = false;
  while (!stopping_) {
    if (auto turn = run_once(-1); !turn) return turn.error();
  }
  return {};
}

Result<void> FdAndTimer::open(int fd, std::function<void()> readable, uint64_t period_ns,
                              std::function<void()> tick) {
  const auto watch = loop_.watch_fd(fd, std::move(readable));
  if (!watch) return watch.error();
  readable_ = *watch;
  const auto timer = loop_.every(period_ns, std::move(tick));
  if (!timer) {
    close();
    return timer.error();
  }
  timer_ = *timer;
  return {};
}

void FdAndTimer::close() {
  loop_.remove(std::exchange(readable_, 0));
  loop_.remove(std::exchange(timer_, 0));
}

}  // namespace xdplb
