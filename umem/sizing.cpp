#include "umem/sizing.h"

#include <fmt/format.h>

#include <iterator>

namespace xdplb {
namespace {

constexpr uint32_t kKernelHeadroomBytes = 256;     // XDP_PACKET_HEADROOM, before every packet
constexpr uint32_t kLinkHeaderBytes = 14 + 2 * 4;  // Ethernet, and two VLAN tags

}  // namespace

FrameSize frame_size_for(uint32_t mtu, bool zero_copy) {
  const bool fits = uint64_t{mtu} + kLinkHeaderBytes + kKernelHeadroomBytes <= kSmallFrameBytes;
  return fits && !zero_copy ? kSmallFrames : kLargeFrames;
}

RingSizes default_ring_sizes(uint32_t queues) {
  if (queues <= 4) return {.rx = 4096, .fill = 4096, .tx = 2048, .completion = 2048};
  if (queues <= 16) return {.rx = 2048, .fill = 2048, .tx = 1024, .completion = 1024};
  return {.rx = 1024, .fill = 1024, .tx = 512, .completion = 512};
}

FrameSum worker_frames(const WorkerShape& shape) {
  return {
      .frame_size = frame_size_for(shape.mtu, shape.zero_copy),
      .fill = shape.rx_ports * shape.rings.fill,
      .rx = shape.rx_ports * shape.rings.rx,
      .tx = shape.tx_ports * shape.rings.tx,
      .completion = shape.tx_ports * shape.rings.completion,
      .tx_only_fill = shape.zero_copy ? shape.tx_only_ports * kTxOnlyFill : 0,
      .peers = shape.peer_ports * 2 * kPeerTx,
      .batch = kMaxBatch,
      .held = shape.held_max,
  };
}

std::string frame_sum_text(const FrameSum& sum) {
  struct Line {
    const char* name;
    uint32_t frames;
  };
  const Line lines[] = {
      {"fill", sum.fill},
      {"rx", sum.rx},
      {"tx", sum.tx},
      {"completion", sum.completion},
      {"tx-only fill", sum.tx_only_fill},
      {"peers", sum.peers},
      {"batch", sum.batch},
      {"held", sum.held},
  };
  std::string text = fmt::format("{} frames of {} KiB, {:.1f} MiB", sum.total(), sum.frame_size.bytes() / 1024,
                                 static_cast<double>(sum.len_bytes()) / (1 << 20));
  const char* sign = " = ";
  for (const Line& line : lines) {
    if (line.frames == 0) continue;
    fmt::format_to(std::back_inserter(text), "{}{} {}", sign, line.frames, line.name);
    sign = " + ";
  }
  return text;
}

}  // namespace xdplb
