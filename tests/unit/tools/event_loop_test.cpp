// The event loop over both pollers: io_uring where the host allows it, and epoll always.
#include "tools/common/event_loop.h"

#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "user/base/clock.h"
#include "user/base/unique_fd.h"

namespace {

using namespace xdplb::tools;
using xdplb::kNsPerMs;
using xdplb::UniqueFd;

struct Pair {
  Pair() {
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    ours.reset(fds[0]);
    theirs.reset(fds[1]);
  }
  UniqueFd ours;
  UniqueFd theirs;
};

class Recorder final : public Watcher {
 public:
  explicit Recorder(EventLoop& loop) : watch(loop, *this) {}
  void on_ready(uint32_t events) override {
    ++ready;
    last_events = events;
    if (then) then();
  }
  void on_timer() override {
    ++timers;
    if (then) then();
  }
  int ready = 0;
  int timers = 0;
  uint32_t last_events = 0;
  std::function<void()> then;
  Watch watch;
};

std::vector<std::unique_ptr<Poller>> pollers() {
  std::vector<std::unique_ptr<Poller>> all;
  auto epoll = make_epoll_poller();
  REQUIRE(epoll);
  all.push_back(std::move(*epoll));
  auto uring = make_uring_poller();
  if (uring) all.push_back(std::move(*uring));
  return all;
}

// Lets the loop turn until `duration_ns` is over.
void run_for(EventLoop& loop, uint64_t duration_ns) {
  Timer end(loop, [&loop] { loop.stop(); });
  end.set(xdplb::monotonic_ns() + duration_ns);
  REQUIRE(loop.run());
}

TEST_CASE("a request yields one event, whatever is still to be read") {
  for (auto& poller : pollers()) {
    INFO(poller->name());
    EventLoop loop(std::move(poller));
    const Pair pair;
    Recorder recorder(loop);
    recorder.watch.wait_for(pair.ours.get(), POLLIN);
    REQUIRE(::write(pair.theirs.get(), "x", 1) == 1);
    run_for(loop, 20 * kNsPerMs);
    CHECK(recorder.ready == 1);
    CHECK((recorder.last_events & POLLIN) != 0);
    recorder.watch.wait_for(pair.ours.get(), POLLIN);
    run_for(loop, 20 * kNsPerMs);
    CHECK(recorder.ready == 2);
  }
}

TEST_CASE("a later request replaces an earlier one") {
  for (auto& poller : pollers()) {
    INFO(poller->name());
    EventLoop loop(std::move(poller));
    const Pair pair;
    Recorder recorder(loop);
    recorder.watch.wait_for(pair.ours.get(), POLLIN);
    recorder.watch.wait_for(pair.ours.get(), POLLOUT);
    run_for(loop, 20 * kNsPerMs);
    CHECK(recorder.ready == 1);
    CHECK((recorder.last_events & POLLOUT) != 0);
  }
}

TEST_CASE("the peer learns of a close, although a request named the descriptor") {
  for (auto& poller : pollers()) {
    INFO(poller->name());
    EventLoop loop(std::move(poller));
    Pair pair;
    Recorder recorder(loop);
    recorder.watch.wait_for(pair.ours.get(), POLLIN);
    run_for(loop, kNsPerMs);
    recorder.watch.cancel();
    pair.ours.reset();
    run_for(loop, 20 * kNsPerMs);
    char byte;
    CHECK(::read(pair.theirs.get(), &byte, 1) == 0);
    CHECK(recorder.ready == 0);
  }
}

TEST_CASE("timers fire once, in order, and not after they were cleared") {
  for (auto& poller : pollers()) {
    INFO(poller->name());
    EventLoop loop(std::move(poller));
    std::string order;
    const uint64_t now_ns = xdplb::monotonic_ns();
    Timer second(loop, [&order] { order += '2'; });
    Timer first(loop, [&order] { order += '1'; });
    Timer cleared(loop, [&order] { order += 'x'; });
    Timer moved(loop, [&order] { order += '3'; });
    second.set(now_ns + 6 * kNsPerMs);
    first.set(now_ns + 2 * kNsPerMs);
    cleared.set(now_ns + 3 * kNsPerMs);
    cleared.clear();
    moved.set(now_ns + kNsPerMs);
    moved.set(now_ns + 9 * kNsPerMs);
    run_for(loop, 30 * kNsPerMs);
    CHECK(order == "123");
  }
}

TEST_CASE("a watcher that retires itself in its call hears nothing more") {
  for (auto& poller : pollers()) {
    INFO(poller->name());
    EventLoop loop(std::move(poller));
    const Pair pair;
    REQUIRE(::write(pair.theirs.get(), "x", 1) == 1);
    auto owned = std::make_unique<Recorder>(loop);
    Recorder& recorder = *owned;
    int calls = 0;
    recorder.then = [&] {
      ++calls;
      recorder.watch.cancel();
      loop.retire(std::move(owned));
    };
    recorder.watch.wait_for(pair.ours.get(), POLLIN);
    recorder.watch.set_timer(1);  // due in the same turn
    run_for(loop, 20 * kNsPerMs);
    CHECK(calls == 1);
  }
}

TEST_CASE("more requests than a ring holds are all served") {
  for (auto& poller : pollers()) {
    INFO(poller->name());
    EventLoop loop(std::move(poller));
    // One socket, many copies of it: each is a descriptor of its own.
    const Pair pair;
    REQUIRE(::write(pair.theirs.get(), "x", 1) == 1);
    constexpr int kMany = 400;
    constexpr int kRounds = 5;
    std::vector<UniqueFd> fds;
    std::vector<std::unique_ptr<Recorder>> recorders;
    for (int i = 0; i < kMany; ++i) {
      fds.emplace_back(::dup(pair.ours.get()));
      REQUIRE(fds.back().is_open());
      for (int round = 0; round < kRounds; ++round) recorders.push_back(std::make_unique<Recorder>(loop));
    }
    const bool one_each = std::string_view(loop.poller().name()) == "epoll";
    for (size_t i = 0; i < recorders.size(); ++i) {
      if (one_each && i % kRounds != 0) continue;
      recorders[i]->watch.wait_for(fds[i / kRounds].get(), POLLIN);
    }
    run_for(loop, 50 * kNsPerMs);
    for (size_t i = 0; i < recorders.size(); ++i) {
      if (!one_each || i % kRounds == 0) CHECK(recorders[i]->ready == 1);
    }
  }
}

}  // namespace
