#include "tools/common/tcp_server.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>

#include "tools/common/console.h"
#include "tools/common/socket.h"
#include "user/base/clock.h"

namespace xdplb::tools {
namespace {

constexpr int kAcceptsATurn = 256;
constexpr uint64_t kPauseNs = 100 * kNsPerMs;

bool is_exhaustion(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

uint64_t descriptor_limit() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

}  // namespace

Result<std::unique_ptr<TcpServer>> TcpServer::listen(EventLoop& loop, const SocketAddress& address,
                                                     MakeLogic make_logic) {
  auto listener = open_listener(address);
  if (!listener) return listener.error();
  return std::unique_ptr<TcpServer>(new TcpServer(loop, std::move(*listener), std::move(make_logic)));
}

TcpServer::TcpServer(EventLoop& loop, UniqueFd listener, MakeLogic make_logic)
    : loop_(loop), listener_(std::move(listener)), make_logic_(std::move(make_logic)), watch_(loop, *this) {
  watch_.wait_for(listener_.get(), POLLIN);
}

void TcpServer::on_ready(uint32_t) {
  for (int i = 0; i < kAcceptsATurn; ++i) {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd.is_open()) {
      exhausted_ = false;
      add_session(std::move(fd));
      continue;
    }
    if (errno == EAGAIN) break;
    if (is_exhaustion(errno)) return pause(errno);
    // Anything else is the fate of one connection (accept(2): "treat them like EAGAIN").
  }
  watch_.wait_for(listener_.get(), POLLIN);
}

void TcpServer::on_timer() {
  on_ready(POLLIN);
}

void TcpServer::pause(int cause) {
  if (!exhausted_) {
    console_line(fail_errno(cause, "Cannot accept on {} with {} connections open (RLIMIT_NOFILE {}); waiting",
                            address().text(), sessions_.size(), descriptor_limit())
                     .message);
  }
  exhausted_ = true;
  watch_.set_timer(loop_.now_ns() + kPauseNs);
}

void TcpServer::add_session(UniqueFd fd) {
  auto session = std::make_unique<Session>(loop_, *this, std::move(fd), make_logic_());
  Session& started = *session;
  sessions_.emplace(&started, std::move(session));
  started.start();
}

void TcpServer::session_ended(Session& session) {
  const auto found = sessions_.find(&session);
  loop_.retire(std::move(found->second));
  sessions_.erase(found);
}

}  // namespace xdplb::tools
