// StopSignals: SIGINT and SIGTERM as calls from the event loop. While it lives they no longer end the process, and
// SIGPIPE is ignored. One per process, made before any thread.
#pragma once

#include <functional>
#include <memory>

#include "tools/common/event_loop.h"
#include "user/base/result.h"
#include "user/base/unique_fd.h"

namespace xdplb::tools {

class StopSignals final : public Watcher {
 public:
  // `on_stop` is called once for each signal.
  static Result<std::unique_ptr<StopSignals>> create(EventLoop& loop, std::function<void()> on_stop);

  void on_ready(uint32_t events) override;
  void on_timer() override {}

 private:
  StopSignals(EventLoop& loop, UniqueFd fd, std::function<void()> on_stop);

  UniqueFd fd_;
  std::function<void()> on_stop_;
  Watch watch_;
};

}  // namespace xdplb::tools
