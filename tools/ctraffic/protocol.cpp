#include "tools/ctraffic/protocol.h"

#include <algorithm>

namespace xdplb::ctraffic {

std::string host_block(std::string_view host) {
  std::string block(host.substr(0, kHostBytes));
  block.resize(kHostBytes, '\0');
  return block;
}

std::string host_of(std::string_view first_bytes) {
  const size_t end = first_bytes.find('\0');
  return end == std::string_view::npos ? std::string() : std::string(first_bytes.substr(0, end));
}

// The block leaves in one piece when all that it replaces has come, as the original sends it.
void EchoLogic::on_data(std::span<const char> in, std::string& out) {
  if (to_replace_ > 0) {
    const size_t taken = std::min(to_replace_, in.size());
    to_replace_ -= taken;
    if (to_replace_ > 0) return;
    out += *block_;
    in = in.subspan(taken);
  }
  out.append(in.data(), in.size());
}

tools::MakeLogic echo_sessions(const std::string& host) {
  auto block = std::make_shared<const std::string>(host_block(host));
  return [block] { return std::make_unique<EchoLogic>(block); };
}

tools::AnswerDatagram echo_datagrams(const std::string& host) {
  return [block = host_block(host)](std::span<char> datagram) {
    std::copy_n(block.begin(), std::min(datagram.size(), block.size()), datagram.begin());
    return std::string_view(datagram.data(), datagram.size());
  };
}

}  // namespace xdplb::ctraffic
