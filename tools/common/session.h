// Session: one accepted TCP connection. It reads, lets the tool's SessionLogic answer, writes, and takes no further
// input while the peer does not take the answer: what a session holds is bounded by one read's answer.
//
// Owned by the TcpServer, on the loop's thread. Ends when the peer closes (after the last answer is out) or fails.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "tools/common/event_loop.h"
#include "user/base/unique_fd.h"

namespace xdplb::tools {

// What one connection answers. Both append to `out`.
class SessionLogic {
 public:
  virtual ~SessionLogic() = default;
  virtual void on_open(std::string& out) = 0;
  virtual void on_data(std::span<const char> in, std::string& out) = 0;
};

class Session;

class SessionOwner {
 public:
  virtual ~SessionOwner() = default;
  virtual void session_ended(Session& session) = 0;
};

class Session final : public Watcher {
 public:
  Session(EventLoop& loop, SessionOwner& owner, UniqueFd fd, std::unique_ptr<SessionLogic> logic);

  void start();
  void on_ready(uint32_t events) override;
  void on_timer() override {}

 private:
  enum class Step { go_on, wait, end };

  Step read_once();
  Step send_all(std::string& out);
  void pump();
  void end();

  SessionOwner& owner_;
  UniqueFd fd_;
  std::unique_ptr<SessionLogic> logic_;
  std::string unsent_;
  bool peer_closed_ = false;
  Watch watch_;  // last: goes first, before the descriptor closes
};

}  // namespace xdplb::tools
