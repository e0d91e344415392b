#include "user/path/live_transmit.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "user/base/check.h"

namespace xdplb {
namespace {

// Most packets are as short as Ethernet lets them be: for those a call of memcpy is half of the copy. Blocks that
// overlap at the end, so that nothing behind the packet is read.
void copy_packet(uint8_t* to, const std::byte* from, uint32_t len_bytes) {
  constexpr uint32_t kBlockBytes = 32;
  if (len_bytes < kBlockBytes || len_bytes > 4 * kBlockBytes) {
    std::memcpy(to, from, len_bytes);
    return;
  }
  const uint32_t last = len_bytes - kBlockBytes;
  for (uint32_t at = 0; at < last; at += kBlockBytes) std::memcpy(to + at, from + at, kBlockBytes);
  std::memcpy(to + last, from + last, kBlockBytes);
}

constexpr uint32_t stride_of(uint32_t len_bytes) {
  return static_cast<uint32_t>(offsetof(xdplb_staged, bytes)) + (len_bytes + 7) / 8 * 8;
}

}  // namespace

LiveTransmit::LiveTransmit(xdplb_live_run& run, xdplb_stage& stage, uint32_t ifindex, uint32_t frame_max,
                           TxChoice choice, LiveKernel& kernel)
    : run_(run),
      stage_(stage),
      frame_max_(std::min(frame_max, kLiveFrameMax)),
      from_packets_(choice == TxChoice::live ? 1 : kLiveFromPackets),
      kernel_(kernel) {
  run_ = {};
  run_.ifindex = ifindex;
}

bool LiveTransmit::takes(std::span<const FrameRef> packets) const {
  if (packets.size() < from_packets_ || !usable()) return false;
  uint32_t shortest = kLiveFrameMax;
  uint32_t longest = 0;
  for (const FrameRef& packet : packets) {
    shortest = std::min(shortest, packet.len_bytes);
    longest = std::max(longest, packet.len_bytes);
  }
  return shortest >= kLiveFrameMin && longest <= frame_max_;
}

void LiveTransmit::stage(const FrameArea& area, std::span<const FrameRef> packets) {
  XDPLB_CHECK(has_room() && packets.size() <= kMaxBatch);
  uint8_t* at = stage_.bytes + staged_bytes_;
  for (const FrameRef& packet : packets) {
    auto* staged = reinterpret_cast<xdplb_staged*>(at);
    staged->len_bytes = packet.len_bytes;
    staged->stride = stride_of(packet.len_bytes);
    copy_packet(staged->bytes, area.at(packet.addr), packet.len_bytes);
    at += staged->stride;
  }
  staged_ += static_cast<uint32_t>(packets.size());
  staged_bytes_ = static_cast<uint32_t>(at - stage_.bytes);
}

uint32_t LiveTransmit::send_staged() {
  const uint32_t count = std::exchange(staged_, 0);
  staged_bytes_ = 0;
  const uint64_t refused_before = run_.refused;
  run_.count = count;
  run_.tail = 0;
  run_.next_at = 0;
  run_.armed = 1;
  // A call may end early: a signal, no memory for a page. What was sent is behind the tail and is not sent again.
  uint32_t idle_calls = 0;
  while (run_.tail < count && idle_calls < kIdleCallsMax) {
    const uint32_t tail = run_.tail;
    const int sys_errno = kernel_.run(count - tail);
    if (sys_errno != 0 && sys_errno != EINTR && sys_errno != ENOMEM && sys_errno != EAGAIN) break;
    idle_calls = run_.tail == tail ? idle_calls + 1 : 0;
  }
  run_.armed = 0;
  const auto refused = static_cast<uint32_t>(run_.refused - refused_before);
  return std::min(run_.tail, count) - std::min(refused, run_.tail);
}

}  // namespace xdplb
