#include "tools/common/poller.h"

#include "tools/common/console.h"

namespace xdplb::tools {

Result<std::unique_ptr<Poller>> make_poller() {
  auto uring = make_uring_poller();
  if (uring) return uring;
  console_line(fmt::format("{}; using epoll instead", uring.error().message));
  return make_epoll_poller();
}

}  // namespace xdplb::tools
