#include "tools/mconnect/attempt.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace xdplb::mconnect {
namespace {

constexpr std::string_view kHello = "Hello";

}  // namespace

Attempt::Attempt(tools::EventLoop& loop, AttemptOwner& owner, tools::Transport transport, tools::SocketAddress source,
                 std::span<const tools::SocketAddress> remotes)
    : owner_(owner), transport_(transport), source_(source), remotes_(remotes), watch_(loop, *this) {}

std::string Attempt::remote_text() const {
  return tools::describe(transport_, remotes_[tried_ - 1]);
}

// Begins with the next address; `cause` is what became of the one before.
void Attempt::try_next(std::string cause) {
  while (tried_ < remotes_.size()) {
    watch_.cancel();
    auto fd = tools::start_connect(transport_, source_, remotes_[tried_++]);
    if (!fd) {
      cause = fd.error().message;
      continue;
    }
    fd_ = std::move(*fd);
    if (transport_ == tools::Transport::udp) return send_hello();
    watch_.wait_for(fd_.get(), POLLOUT);
    return;
  }
  owner_.failed(*this, cause);
}

void Attempt::on_ready(uint32_t) {
  is_connecting() ? finish_connect() : receive();
}

void Attempt::finish_connect() {
  if (const int error = tools::connect_error(fd_.get()); error != 0) {
    return try_next(fail_errno(error, "connect {}", remote_text()).message);
  }
  state_ = State::waiting;
  owner_.connected(*this);
  watch_.wait_for(fd_.get(), POLLIN);
}

void Attempt::send_hello() {
  if (::send(fd_.get(), kHello.data(), kHello.size(), MSG_NOSIGNAL) < 0) {
    return try_next(fail_errno(errno, "write {}", remote_text()).message);
  }
  state_ = State::waiting;
  watch_.wait_for(fd_.get(), POLLIN);
}

void Attempt::receive() {
  std::array<char, 4096> answer;
  const ssize_t n = ::recv(fd_.get(), answer.data(), answer.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return watch_.wait_for(fd_.get(), POLLIN);
  if (n < 0) return owner_.failed(*this, fail_errno(errno, "read {}", remote_text()).message);
  if (n == 0 && transport_ == tools::Transport::tcp) {
    return owner_.failed(*this, fmt::format("read {}: closed by the peer", remote_text()));
  }
  state_ = State::answered;
  owner_.answered(*this, {answer.data(), static_cast<size_t>(n)});
}

}  // namespace xdplb::mconnect
