#include "tools/common/session.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace xdplb::tools {
namespace {

constexpr size_t kReadBytes = 65536;
constexpr int kReadsATurn = 8;  // then the other connections have theirs

}  // namespace

Session::Session(EventLoop& loop, SessionOwner& owner, UniqueFd fd, std::unique_ptr<SessionLogic> logic)
    : owner_(owner), fd_(std::move(fd)), logic_(std::move(logic)), watch_(loop, *this) {}

void Session::start() {
  std::string out;
  logic_->on_open(out);
  if (send_all(out) == Step::end) return end();
  pump();
}

void Session::on_ready(uint32_t) {
  pump();
}

void Session::pump() {
  if (!unsent_.empty()) {
    std::string out;
    out.swap(unsent_);
    if (send_all(out) == Step::end) return end();
  }
  Step step = Step::go_on;
  for (int i = 0; i < kReadsATurn && step == Step::go_on && unsent_.empty() && !peer_closed_; ++i) step = read_once();
  if (step == Step::end || (peer_closed_ && unsent_.empty())) return end();
  watch_.wait_for(fd_.get(), unsent_.empty() ? POLLIN : POLLOUT);
}

Session::Step Session::read_once() {
  std::array<char, kReadBytes> in;
  const ssize_t n = ::recv(fd_.get(), in.data(), in.size(), 0);
  if (n < 0) return errno == EAGAIN || errno == EINTR ? Step::wait : Step::end;
  if (n == 0) {
    peer_closed_ = true;
    return Step::wait;
  }
  std::string out;
  logic_->on_data({in.data(), static_cast<size_t>(n)}, out);
  return send_all(out);
}

// Sends what the socket takes and keeps the rest.
Session::Step Session::send_all(std::string& out) {
  size_t sent = 0;
  while (sent < out.size()) {
    const ssize_t n = ::send(fd_.get(), out.data() + sent, out.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) return Step::end;
    if (n < 0) break;
    sent += static_cast<size_t>(n);
  }
  unsent_.assign(out, sent);
  return Step::go_on;
}

void Session::end() {
  watch_.cancel();
  owner_.session_ended(*this);
}

}  // namespace xdplb::tools
