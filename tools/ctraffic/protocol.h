// The echo protocol: the server returns what it receives, the first 64 bytes of a connection (UDP: of each datagram)
// replaced by its host name, padded with NUL bytes. A server that does not know the custom returns the client's
// zeros.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "tools/common/session.h"
#include "tools/common/tcp_server.h"
#include "tools/common/udp_server.h"

namespace xdplb::ctraffic {

inline constexpr size_t kHostBytes = 64;

// Exactly kHostBytes, padded or cut.
std::string host_block(std::string_view host);

// The name in a first packet: what precedes its first NUL byte; empty where there is none.
std::string host_of(std::string_view first_bytes);

// Server: one TCP connection.
class EchoLogic final : public tools::SessionLogic {
 public:
  explicit EchoLogic(std::shared_ptr<const std::string> block) : block_(std::move(block)) {}
  void on_open(std::string&) override {}
  void on_data(std::span<const char> in, std::string& out) override;

 private:
  std::shared_ptr<const std::string> block_;  // one for all sessions
  size_t to_replace_ = kHostBytes;            // bytes of the block still to come in
};

tools::MakeLogic echo_sessions(const std::string& host);
tools::AnswerDatagram echo_datagrams(const std::string& host);

}  // namespace xdplb::ctraffic
