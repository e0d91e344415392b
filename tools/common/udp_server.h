// UdpServer: answers each datagram with one, from the address that it was sent to: a server behind a load balancer
// holds many addresses, and a client hears only the one that it asked. On the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "tools/common/address.h"
#include "tools/common/event_loop.h"
#include "user/base/result.h"
#include "user/base/unique_fd.h"

namespace xdplb::tools {

// The answer to a datagram; it may be made in place.
using AnswerDatagram = std::function<std::string_view(std::span<char> datagram)>;

class UdpServer final : public Watcher {
 public:
  static Result<std::unique_ptr<UdpServer>> listen(EventLoop& loop, const SocketAddress& address,
                                                   AnswerDatagram answer);

  [[nodiscard]] SocketAddress address() const { return local_address(fd_.get()); }

  void on_ready(uint32_t events) override;
  void on_timer() override {}

 private:
  UdpServer(EventLoop& loop, UniqueFd fd, AnswerDatagram answer);
  bool serve_one();

  UniqueFd fd_;
  AnswerDatagram answer_;
  std::vector<char> buffer_;
  Watch watch_;
};

}  // namespace xdplb::tools
