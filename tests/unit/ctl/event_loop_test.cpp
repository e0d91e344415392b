#include "user/ctl/event_loop.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "user/base/clock.h"

namespace xdplb {
namespace {

// A machine may forbid io_uring; what then remains to be tested is that `automatic` says so.
std::vector<LoopBackend> usable_backends() {
  std::vector<LoopBackend> backends = {LoopBackend::epoll};
  if (EventLoop::create(LoopBackend::io_uring)) backends.push_back(LoopBackend::io_uring);
  return backends;
}

std::unique_ptr<EventLoop> make_loop(LoopBackend backend) {
  auto loop = EventLoop::create(backend);
  REQUIRE(loop);
  return std::move(*loop);
}

struct Pipe {
  Pipe() {
    int fds[2];
    REQUIRE(::pipe2(fds, O_NONBLOCK | O_CLOEXEC) == 0);
    read_end.reset(fds[0]);
    write_end.reset(fds[1]);
  }
  void put(const char* text) const { REQUIRE(::write(write_end.get(), text, strlen(text)) > 0); }
  char take() const {
    char c = 0;
    return ::read(read_end.get(), &c, 1) == 1 ? c : '\0';
  }
  UniqueFd read_end, write_end;
};

uint32_t turn(EventLoop& loop, int timeout_ms) {
  const auto called = loop.run_once(timeout_ms);
  REQUIRE(called);
  return *called;
}

}  // namespace

TEST_CASE("event loop: a descriptor fires while there is something to read") {
  for (const LoopBackend backend : usable_backends()) {
    const auto loop = make_loop(backend);
    CAPTURE(loop->name());
    const Pipe pipe;
    std::string seen;
    REQUIRE(loop->watch_fd(pipe.read_end.get(), [&] { seen += pipe.take(); }));
    CHECK(turn(*loop, 0) == 0);
    CHECK(turn(*loop, 10) == 0);
    pipe.put("abc");
    // One byte a call, none of them announced again.
    for (int i = 0; i < 3; ++i) CHECK(turn(*loop, 1000) == 1);
    CHECK(seen == "abc");
    CHECK(turn(*loop, 10) == 0);
    pipe.put("d");
    CHECK(turn(*loop, 1000) == 1);
    CHECK(seen == "abcd");
  }
}

TEST_CASE("event loop: a busy descriptor does not starve another") {
  for (const LoopBackend backend : usable_backends()) {
    const auto loop = make_loop(backend);
    CAPTURE(loop->name());
    const Pipe busy;
    const Pipe quiet;
    busy.put("x");
    int busy_calls = 0;
    int quiet_calls = 0;
    REQUIRE(loop->watch_fd(busy.read_end.get(), [&] { ++busy_calls; }));
    REQUIRE(loop->watch_fd(quiet.read_end.get(), [&] { quiet_calls += quiet.take() != 0; }));
    quiet.put("y");
    for (int i = 0; i < 10; ++i) turn(*loop, 1000);
    CHECK(busy_calls >= 9);
    CHECK(quiet_calls == 1);
  }
}

TEST_CASE("event loop: watches come and go inside callbacks") {
  for (const LoopBackend backend : usable_backends()) {
    const auto loop = make_loop(backend);
    CAPTURE(loop->name());
    const Pipe pipe;
    Pipe other;
    pipe.put("x");
    other.put("y");
    int calls = 0;
    int other_calls = 0;
    Result<WatchId> own = fail("not yet");
    Result<WatchId> second = fail("not yet");
    own = loop->watch_fd(pipe.read_end.get(), [&] {
      ++calls;
      loop->remove(*own);
      loop->remove(*second);
      other.read_end.reset();  // a removed descriptor may be closed at once
    });
    second = loop->watch_fd(other.read_end.get(), [&] { ++other_calls; });
    turn(*loop, 1000);
    const int other_calls_then = other_calls;  // it may have come first in the first turn
    for (int i = 0; i < 3; ++i) CHECK(turn(*loop, 5) == 0);
    CHECK(calls == 1);
    CHECK(other_calls == other_calls_then);
    // The number of the closed descriptor is used again: what was asked about the old one must not fire.
    const Pipe reused;
    reused.put("z");
    CHECK(turn(*loop, 5) == 0);
  }
}

TEST_CASE("event loop: timers tick, missed ticks count once, idle waits do not spin") {
  for (const LoopBackend backend : usable_backends()) {
    const auto loop = make_loop(backend);
    CAPTURE(loop->name());
    int ticks = 0;
    const auto timer = loop->every(2 * kNsPerMs, [&] { ++ticks; });
    REQUIRE(timer);
    ::usleep(20'000);
    CHECK(turn(*loop, 1000) == 1);
    CHECK(ticks == 1);
    for (int turns = 0; turns < 100 && ticks < 6; ++turns) turn(*loop, 1000);
    CHECK(ticks == 6);
    loop->remove(*timer);
    // A tick on its way when the timer went ends one wait early, and no more than one.
    const uint64_t before_ns = monotonic_ns();
    int waits = 0;
    for (; waits < 10 && monotonic_ns() - before_ns < 29 * kNsPerMs; ++waits) CHECK(turn(*loop, 30) == 0);
    CHECK(waits <= 2);
    CHECK(ticks == 6);
  }
}

TEST_CASE("event loop: a descriptor with a timer, both until closed") {
  for (const LoopBackend backend : usable_backends()) {
    const auto loop = make_loop(backend);
    CAPTURE(loop->name());
    const Pipe pipe;
    int reads = 0, ticks = 0;
    FdAndTimer both(*loop);
    const auto open = [&] {
      return both.open(
          pipe.read_end.get(), [&] { reads += pipe.take() != 0; }, kNsPerMs, [&] { ++ticks; });
    };
    for (int round = 1; round <= 2; ++round) {
      REQUIRE(open());
      pipe.put("a");
      while (reads < round || ticks < round) turn(*loop, 1000);
      both.close();
      pipe.put("b");
      CHECK(turn(*loop, 10) == 0);
      CHECK(pipe.take() == 'b');
    }
  }
}

TEST_CASE("event loop: a signal stops it") {
  for (const LoopBackend backend : usable_backends()) {
    const auto loop = make_loop(backend);
    CAPTURE(loop->name());
    int received = 0;
    REQUIRE(loop->on_signals({SIGUSR1, SIGUSR2}, [&](int signal) {
      received = signal;
      loop->stop();
    }));
    REQUIRE(loop->every(kNsPerMs, [] { ::kill(::getpid(), SIGUSR2); }));
    REQUIRE(loop->run());
    CHECK(received == SIGUSR2);
  }
  // Ticks may have left one pending; it must not end the test program when the mask is lifted.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGUSR2);
  const timespec at_once{0, 0};
  while (::sigtimedwait(&set, nullptr, &at_once) > 0) {
  }
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

TEST_CASE("event loop: more watches than the ring has entries") {
  for (const LoopBackend backend : usable_backends()) {
    const auto loop = make_loop(backend);
    CAPTURE(loop->name());
    std::vector<UniqueFd> events;
    std::vector<WatchId> ids;
    int calls = 0;
    for (int i = 0; i < 200; ++i) {
      const int fd = events.emplace_back(::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC)).get();
      const auto id = loop->watch_fd(fd, [&calls, fd] {
        uint64_t value = 0;
        calls += ::read(fd, &value, sizeof value) == sizeof value;
      });
      REQUIRE(id);
      ids.push_back(*id);
    }
    for (int i = 0; i < 400 && calls < 200; ++i) turn(*loop, 100);
    CHECK(calls == 200);
    for (const WatchId id : ids) loop->remove(id);
    CHECK(turn(*loop, 5) == 0);
  }
}

// From here on io_uring_setup(2) fails for this process, as in many containers.
bool forbid_io_uring() {
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),  // the number of the system call
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{4, rules};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST_CASE("event loop: where io_uring is forbidden, epoll and the reason") {
  const pid_t child = ::fork();
  if (child == 0) {
    if (!forbid_io_uring()) ::_exit(2);
    const auto automatic = EventLoop::create(LoopBackend::automatic);
    const auto forced = EventLoop::create(LoopBackend::io_uring);
    const bool right = automatic && (*automatic)->name() == "epoll" &&
                       (*automatic)->fallback_reason() == "io_uring_queue_init: Operation not permitted" && !forced;
    ::_exit(right ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("event loop: which back end, and why") {
  CHECK(make_loop(LoopBackend::epoll)->name() == "epoll");
  const auto automatic = make_loop(LoopBackend::automatic);
  const auto io_uring = EventLoop::create(LoopBackend::io_uring);
  CHECK(automatic->name() == (io_uring ? "io_uring" : "epoll"));
  CHECK(automatic->fallback_reason().empty() == io_uring.has_value());
  CHECK(parse_loop_backend("auto").value() == LoopBackend::automatic);
  CHECK(parse_loop_backend("select").error().message == "Unknown event loop [select]: auto, io_uring or epoll");
}

}  // namespace xdplb
