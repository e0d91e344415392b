// The epoll back end of EventLoop: level-triggered by nature, so there is nothing to arm again.
#include <sys/epoll.h>

#include <array>
#include <cerrno>

#include "user/ctl/event_loop.h"

namespace xdplb {
namespace {

class EpollPoller final : public Poller {
 public:
  explicit EpollPoller(UniqueFd epoll) : epoll_(std::move(epoll)) {}

  [[nodiscard]] std::string_view name() const override { return "epoll"; }

  Result<void> add(int fd, uint64_t token, Interest interest) override {
    epoll_event event{};
    event.events = interest == Interest::readable ? EPOLLIN : EPOLLOUT;
    event.data.u64 = token;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      return fail_errno(errno, "Cannot watch descriptor {}", fd);
    }
    return {};
  }

  void remove(int fd, uint64_t) override { ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

  void rearm(int, uint64_t, Interest) override {}

  Result<void> wait(int timeout_ms, std::vector<uint64_t>& ready) override {
    std::array<epoll_event, 64> events;
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
    if (count < 0 && errno == EINTR) return {};
    if (count < 0) return fail_errno(errno, "epoll_wait");
    for (int i = 0; i < count; ++i) ready.push_back(events[static_cast<size_t>(i)].data.u64);
    return {};
  }

 private:
  UniqueFd epoll_;
};

}  // namespace

Result<std::unique_ptr<Poller>> make_epoll_poller() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.is_open()) return fail_errno(errno, "epoll_create1");
  return std::unique_ptr<Poller>(new EpollPoller(std::move(epoll)));
}

}  // namespace xdplb
