#include <poll.h>
#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <climits>

#include "tools/common/poller.h"
#include "user/base/unique_fd.h"

namespace xdplb::tools {
namespace {

// epoll's event bits are poll's.
static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLERR == POLLERR && EPOLLHUP == POLLHUP);

class EpollPoller final : public Poller {
 public:
  explicit EpollPoller(UniqueFd epoll) : epoll_(std::move(epoll)) {}

  void arm(int fd, uint32_t events, uint64_t token) override {
    epoll_event event{};
    event.events = events | EPOLLONESHOT;
    event.data.u64 = token;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0) return;
    if (errno == ENOENT && ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return;
    refused_.push_back({token, POLLERR});  // the owner's next call on the descriptor names the cause
  }

  void disarm(int fd, uint64_t) override { ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

  Result<void> wait(std::vector<ReadyEvent>& out, int64_t timeout_ns) override {
    if (!refused_.empty()) timeout_ns = 0;
    // Rounded up: a timer must be due when the wait for it ends.
    const int64_t timeout_ms = timeout_ns < 0 ? -1 : (timeout_ns + 999'999) / 1'000'000;
    std::array<epoll_event, 1024> events;
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                   static_cast<int>(std::min<int64_t>(timeout_ms, INT_MAX)));
    if (count < 0 && errno != EINTR) return fail_errno(errno, "epoll_wait");
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      out.push_back({event.data.u64, event.events});
    }
    out.insert(out.end(), refused_.begin(), refused_.end());
    refused_.clear();
    return {};
  }

  [[nodiscard]] const char* name() const override { return "epoll"; }

 private:
  UniqueFd epoll_;
  std::vector<ReadyEvent> refused_;
};

}  // namespace

Result<std::unique_ptr<Poller>> make_epoll_poller() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.is_open()) return fail_errno(errno, "epoll_create1");
  return std::unique_ptr<Poller>(std::make_unique<EpollPoller>(std::move(epoll)));
}

}  // namespace xdplb::tools
