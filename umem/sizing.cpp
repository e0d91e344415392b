#include "umem/sizing.h"

#include <fmt/format.h>

#include <iterator>

namespace xdplb {

RingSizes default_ring_sizes(uint32_t queues) {
  if (queues <= 4) return {.rx = 4096, .fill = 4096, .tx = 2048, .completion = 2048};
  if (queues <= 16) return {.rx = 2048, .fill = 2048, .tx = 1024, .completion = 1024};
  return {.rx = 1024, .fill = 1024, .tx = 512, .completion = 512};
}

FrameSum worker_frames(const WorkerShape& shape) {
  return {
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
  std::string text =
      fmt::format("{} frames, {:.1f} MiB", sum.total(), static_cast<double>(sum.len_bytes()) / (1 << 20));
  const char* sign = " = ";
  for (const Line& line : lines) {
    if (line.frames == 0) continue;
    fmt::format_to(std::back_inserter(text), "{}{} {}", sign, line.frames, line.name);
    sign = " + ";
  }
  return text;
}

}  // namespace xdplb
