// The io_uring back end of EventLoop. Each watch is a one-shot poll request that is put in again after its callback:
// arming looks at the descriptor's state, so what a callback left unread fires again, as with epoll. A multishot poll
// would save that entry but speaks of edges only. Entries of a turn go down with the system call that waits for the
// next.
#include <liburing.h>
#include <poll.h>

#include <cerrno>

#include "user/base/clock.h"
#include "user/ctl/event_loop.h"

namespace xdplb {
namespace {

constexpr unsigned kEntries = 64;
constexpr uint64_t kNoToken = 0;  // completions that nobody waits for

class IoUringPoller final : public Poller {
 public:
  IoUringPoller() = default;
  ~IoUringPoller() override {
    if (open_) io_uring_queue_exit(&ring_);
  }
  IoUringPoller(const IoUringPoller&) = delete;
  IoUringPoller& operator=(const IoUringPoller&) = delete;

  Result<void> open() {
    const int error = io_uring_queue_init(kEntries, &ring_, 0);
    if (error < 0) return fail_errno(-error, "io_uring_queue_init");
    open_ = true;
    return {};
  }

  [[nodiscard]] std::string_view name() const override { return "io_uring"; }

  Result<void> add(int fd, uint64_t token, Interest interest) override {
    io_uring_sqe* entry = next_entry();
    if (entry == nullptr) return fail("Cannot watch descriptor {}: the submission queue is stuck", fd);
    io_uring_prep_poll_add(entry, fd, interest == Interest::readable ? POLLIN : POLLOUT);
    io_uring_sqe_set_data64(entry, token);
    return {};
  }

  void rearm(int fd, uint64_t token, Interest interest) override {
    // next_entry() makes room by submitting; that it cannot is a broken ring, which wait() reports.
    if (auto ok = add(fd, token, interest); !ok) broken_ = true;
  }

  // At once, since the caller may close the descriptor next, and a request in flight holds the file open.
  void remove(int, uint64_t token) override {
    io_uring_sqe* entry = next_entry();
    if (entry == nullptr) {
      broken_ = true;
      return;
    }
    io_uring_prep_poll_remove(entry, token);
    io_uring_sqe_set_data64(entry, kNoToken);
    io_uring_submit(&ring_);
  }

  Result<void> wait(int timeout_ms, std::vector<uint64_t>& ready) override {
    if (broken_) return fail("io_uring takes no requests any more");
    const uint64_t deadline_ns = timeout_ms < 0 ? UINT64_MAX : monotonic_ns() + to_ns(timeout_ms);
    for (;;) {
      if (auto ok = submit_and_wait(deadline_ns); !ok) return ok;
      if (auto ok = take_completions(ready); !ok) return ok;
      // Completions of removals wake us for nothing.
      if (!ready.empty() || monotonic_ns() >= deadline_ns) return {};
    }
  }

 private:
  io_uring_sqe* next_entry() {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    if (entry != nullptr) return entry;
    io_uring_submit(&ring_);
    return io_uring_get_sqe(&ring_);
  }

  static uint64_t to_ns(int timeout_ms) { return static_cast<uint64_t>(timeout_ms) * kNsPerMs; }

  Result<void> submit_and_wait(uint64_t deadline_ns) {
    int done = 0;
    if (deadline_ns == UINT64_MAX) {
      done = io_uring_submit_and_wait(&ring_, 1);
    } else {
      const uint64_t now_ns = monotonic_ns();
      const uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
      __kernel_timespec timeout{static_cast<long long>(left_ns / kNsPerSec),
                                static_cast<long long>(left_ns % kNsPerSec)};
      io_uring_cqe* first = nullptr;
      done = io_uring_submit_and_wait_timeout(&ring_, &first, 1, &timeout, nullptr);
    }
    // ETIME: the time is over; EINTR: a signal that is not ours; EBUSY, EAGAIN: completions are to be taken first.
    if (done >= 0 || done == -ETIME || done == -EINTR || done == -EBUSY || done == -EAGAIN) return {};
    return fail_errno(-done, "io_uring_submit_and_wait");
  }

  Result<void> take_completions(std::vector<uint64_t>& ready) {
    unsigned head = 0;
    unsigned count = 0;
    int failure = 0;
    io_uring_cqe* completion = nullptr;
    io_uring_for_each_cqe(&ring_, head, completion) {
      ++count;
      const uint64_t token = io_uring_cqe_get_data64(completion);
      if (token == kNoToken || token == LIBURING_UDATA_TIMEOUT || completion->res == -ECANCELED) continue;
      if (completion->res < 0) {
        failure = -completion->res;
      } else {
        ready.push_back(token);
      }
    }
    io_uring_cq_advance(&ring_, count);
    if (failure != 0) return fail_errno(failure, "io_uring cannot poll a descriptor");
    return {};
  }

  io_uring ring_{};
  bool open_ = false;
  bool broken_ = false;
};

}  // namespace

Result<std::unique_ptr<Poller>> make_io_uring_poller() {
  auto poller = std::make_unique<IoUringPoller>();
  if (auto ok = poller->open(); !ok) return ok.error();
  return std::unique_ptr<Poller>(std::move(poller));
}

}  // namespace xdplb
