// dies(f): true if f() aborts, as a failed XDPLB_CHECK does. It runs in a child process, whose standard error goes
// nowhere.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace xdplb::testing {

template <typename F>
bool dies(F&& f) {
  const pid_t child = fork();
  if (child == 0) {
    // The test framework's own handler would report the abort as a failure.
    signal(SIGABRT, SIG_DFL);
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null >= 0) dup2(null, STDERR_FILENO);
    f();
    _exit(0);
  }
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

}  // namespace xdplb::testing
