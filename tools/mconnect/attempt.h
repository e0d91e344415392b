// Attempt: one connection of the client, from its first connect to its answer (and, with -keep, until the end).
//
// Owned by the Client, on the loop's thread. Tells its owner exactly once how it ended, then is destroyed.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "tools/common/address.h"
#include "tools/common/event_loop.h"
#include "tools/common/socket.h"
#include "user/base/unique_fd.h"

namespace xdplb::mconnect {

class Attempt;

class AttemptOwner {
 public:
  virtual ~AttemptOwner() = default;
  virtual void connected(Attempt& attempt) = 0;
  virtual void answered(Attempt& attempt, std::string_view host) = 0;
  virtual void failed(Attempt& attempt, const std::string& cause) = 0;
};

class Attempt final : public tools::Watcher {
 public:
  // `remotes` are tried in turn until one connects; they outlive the attempt.
  Attempt(tools::EventLoop& loop, AttemptOwner& owner, tools::Transport transport, tools::SocketAddress source,
          std::span<const tools::SocketAddress> remotes);

  void start() { try_next("no address"); }
  // Waits for one more answer; only from within answered().
  void listen_on() { watch_.wait_for(fd_.get(), POLLIN); }

  [[nodiscard]] bool is_connecting() const { return state_ == State::connecting; }
  [[nodiscard]] bool has_answer() const { return state_ == State::answered; }

  void on_ready(uint32_t events) override;
  void on_timer() override {}

 private:
  enum class State { connecting, waiting, answered };

  void try_next(std::string cause);
  void finish_connect();
  void send_hello();
  void receive();
  [[nodiscard]] std::string remote_text() const;

  AttemptOwner& owner_;
  const tools::Transport transport_;
  const tools::SocketAddress source_;
  std::span<const tools::SocketAddress> remotes_;
  size_t tried_ = 0;
  State state_ = State::connecting;
  UniqueFd fd_;
  tools::Watch watch_;
};

}  // namespace xdplb::mconnect
