#include <liburing.h>

#include <cerrno>
#include <deque>

#include "tools/common/poller.h"

namespace xdplb::tools {
namespace {

constexpr unsigned kSubmissionEntries = 1024;          // a full queue is submitted and filled again
constexpr unsigned kCompletionEntries = 16384;         // beyond it the kernel keeps events in its own list (NODROP)
constexpr uint64_t kNoToken = LIBURING_UDATA_TIMEOUT;  // answers to removals; liburing's own timeouts use it too

class UringPoller final : public Poller {
 public:
  UringPoller() = default;
  ~UringPoller() override {
    if (is_open_) io_uring_queue_exit(&ring_);
  }
  UringPoller(const UringPoller&) = delete;  // the kernel knows the ring by its address in here
  UringPoller& operator=(const UringPoller&) = delete;

  Result<void> open();
  void arm(int fd, uint32_t events, uint64_t token) override { requests_.push_back({fd, events, token}); }
  void disarm(int, uint64_t token) override { requests_.push_back({-1, 0, token}); }
  Result<void> wait(std::vector<ReadyEvent>& out, int64_t timeout_ns) override;
  [[nodiscard]] const char* name() const override { return "io_uring"; }

 private:
  // A request not yet given to the kernel; fd -1 takes the one of `token` back.
  struct Request {
    int fd;
    uint32_t events;
    uint64_t token;
  };

  bool fill_submissions();
  int enter(int64_t timeout_ns);
  void collect(std::vector<ReadyEvent>& out);

  io_uring ring_{};
  bool is_open_ = false;
  std::deque<Request> requests_;
};

Result<void> UringPoller::open() {
  io_uring_params params{};
  params.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
  params.cq_entries = kCompletionEntries;
  const int error = io_uring_queue_init_params(kSubmissionEntries, &ring_, &params);
  if (error < 0) return fail_errno(-error, "io_uring is not available");
  is_open_ = true;
  if ((params.features & IORING_FEAT_NODROP) == 0)
    return fail("io_uring of this kernel may lose events (before 5.5)");
  return {};
}

// Moves requests into the submission queue; false where it is full.
bool UringPoller::fill_submissions() {
  while (!requests_.empty()) {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    if (entry == nullptr) return false;
    const Request& request = requests_.front();
    if (request.fd < 0) {
      io_uring_prep_poll_remove(entry, request.token);
      io_uring_sqe_set_data64(entry, kNoToken);
    } else {
      io_uring_prep_poll_add(entry, request.fd, request.events);
      io_uring_sqe_set_data64(entry, request.token);
    }
    requests_.pop_front();
  }
  return true;
}

int UringPoller::enter(int64_t timeout_ns) {
  io_uring_cqe* first = nullptr;
  if (timeout_ns < 0) return io_uring_submit_and_wait_timeout(&ring_, &first, 1, nullptr, nullptr);
  __kernel_timespec timeout{};
  timeout.tv_sec = timeout_ns / 1'000'000'000;
  timeout.tv_nsec = timeout_ns % 1'000'000'000;
  return io_uring_submit_and_wait_timeout(&ring_, &first, 1, &timeout, nullptr);
}

void UringPoller::collect(std::vector<ReadyEvent>& out) {
  unsigned head = 0;
  unsigned count = 0;
  io_uring_cqe* entry = nullptr;
  io_uring_for_each_cqe(&ring_, head, entry) {
    ++count;
    if (entry->user_data == kNoToken || entry->res == -ECANCELED) continue;
    // A request that the kernel refused ends like a broken descriptor: the owner's next call names the cause.
    const uint32_t events = entry->res < 0 ? POLLERR : static_cast<uint32_t>(entry->res);
    out.push_back({entry->user_data, events});
  }
  io_uring_cq_advance(&ring_, count);
}

Result<void> UringPoller::wait(std::vector<ReadyEvent>& out, int64_t timeout_ns) {
  while (!fill_submissions()) {
    const int submitted = io_uring_submit(&ring_);
    if (submitted >= 0) continue;
    if (submitted != -EBUSY && submitted != -EAGAIN && submitted != -EINTR) {
      return fail_errno(-submitted, "io_uring_enter");
    }
    timeout_ns = 0;  // the kernel wants its completions read first; the rest goes in at the next turn
    break;
  }
  const int result = enter(timeout_ns);
  const bool is_transient = result == -ETIME || result == -EINTR || result == -EBUSY || result == -EAGAIN;
  if (result < 0 && !is_transient) return fail_errno(-result, "io_uring_enter");
  collect(out);
  return {};
}

}  // namespace

Result<std::unique_ptr<Poller>> make_uring_poller() {
  auto poller = std::make_unique<UringPoller>();
  if (auto opened = poller->open(); !opened) return opened.error();
  return std::unique_ptr<Poller>(std::move(poller));
}

}  // namespace xdplb::tools
