#include "tools/common/stop_signals.h"

#include <poll.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <csignal>

namespace xdplb::tools {

Result<std::unique_ptr<StopSignals>> StopSignals::create(EventLoop& loop, std::function<void()> on_stop) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  if (::sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) return fail_errno(errno, "sigprocmask");
  ::signal(SIGPIPE, SIG_IGN);
  UniqueFd fd(::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd.is_open()) return fail_errno(errno, "signalfd");
  return std::unique_ptr<StopSignals>(new StopSignals(loop, std::move(fd), std::move(on_stop)));
}

StopSignals::StopSignals(EventLoop& loop, UniqueFd fd, std::function<void()> on_stop)
    : fd_(std::move(fd)), on_stop_(std::move(on_stop)), watch_(loop, *this) {
  watch_.wait_for(fd_.get(), POLLIN);
}

void StopSignals::on_ready(uint32_t) {
  signalfd_siginfo info;
  while (::read(fd_.get(), &info, sizeof(info)) == sizeof(info)) on_stop_();
  watch_.wait_for(fd_.get(), POLLIN);
}

}  // namespace xdplb::tools
