// TcpServer: accepts connections and owns their sessions. One per listening address, on the loop's thread.
//
// Where the process has no descriptor left it says so once, leaves new connections in the backlog and tries again
// ten times a second; those that it serves are not disturbed.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>

#include "tools/common/address.h"
#include "tools/common/event_loop.h"
#include "tools/common/session.h"
#include "user/base/result.h"
#include "user/base/unique_fd.h"

namespace xdplb::tools {

using MakeLogic = std::function<std::unique_ptr<SessionLogic>()>;

class TcpServer final : public Watcher, public SessionOwner {
 public:
  static Result<std::unique_ptr<TcpServer>> listen(EventLoop& loop, const SocketAddress& address,
                                                   MakeLogic make_logic);

  // Where it listens: the port that the kernel chose, if it was asked for 0.
  [[nodiscard]] SocketAddress address() const { return local_address(listener_.get()); }
  [[nodiscard]] size_t session_count() const { return sessions_.size(); }

  void on_ready(uint32_t events) override;
  void on_timer() override;
  void session_ended(Session& session) override;

 private:
  TcpServer(EventLoop& loop, UniqueFd listener, MakeLogic make_logic);
  void add_session(UniqueFd fd);
  void pause(int cause);

  EventLoop& loop_;
  UniqueFd listener_;
  MakeLogic make_logic_;
  std::unordered_map<Session*, std::unique_ptr<Session>> sessions_;
  bool exhausted_ = false;
  Watch watch_;
};

}  // namespace xdplb::tools
