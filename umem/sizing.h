// Sizing: how many entries the rings have and how many frames a worker needs, as a sum whose every line names who
// may have that many at once. Pure functions; the daemon prints the sum at start.
//
// The sum is no guess: a Port never lets the kernel have more than these (umem/port.h), so the pool is
// never empty while a fill ring has room, whatever the peers, the drivers or the fragments do.
#pragma once

#include <cstdint>
#include <string>

#include "umem/frame.h"
#include "user/base/limits.h"

namespace xdplb {

// Entries; each a power of two. 0 means that the port does without that ring.
struct RingSizes {
  uint32_t rx = 0;
  uint32_t fill = 0;
  uint32_t tx = 0;
  uint32_t completion = 0;

  friend bool operator==(const RingSizes&, const RingSizes&) = default;
};

// What a device with that many queues in service gets by default. 4096 receive entries are what 1 to 2 Mpps on one
// queue need (2048 loses 0.2 to 0.4 %); with many queues each has its share of the packets, and the memory would grow
// with the number of queues. A transmit ring holds a few batches; what does not fit is dropped and counted.
[[nodiscard]] RingSizes default_ring_sizes(uint32_t queues);

// A transmit-only port in zero-copy mode: the driver takes the buffers of everything that arrives on that queue,
// ARP included, from our fill ring.
inline constexpr uint32_t kTxOnlyFill = 1024;

// An ingress port that sends fragments to other balancers: little, and what arrives in a burst leaves in one.
inline constexpr uint32_t kPeerTx = 512;

// How long the chunks of a worker are whose devices have MTUs of at most `mtu`. Short ones where the kernel copies
// and every packet fits one: the frames that take turns lie in twice as many sets of the caches then
// (umem/README.md). A zero-copy driver gets long ones: some have trouble with others (ice, idpf).
[[nodiscard]] FrameSize frame_size_for(uint32_t mtu, bool zero_copy);

// The ports of one worker. In the one-arm set-up a port receives and transmits: it counts in both numbers.
struct WorkerShape {
  uint32_t rx_ports = 1;
  uint32_t tx_ports = 1;
  uint32_t tx_only_ports = 1;  // of the tx_ports, those that do not receive
  uint32_t peer_ports = 0;     // of the rx_ports, those that send to other balancers; none of the tx_ports
  bool zero_copy = true;       // may any of them be zero copy?
  uint32_t mtu = 1500;         // bytes; the largest of their devices
  RingSizes rings{};
  uint32_t held_max = 0;  // fragments that wait for the first
};

struct FrameSum {
  FrameSize frame_size = kLargeFrames;
  uint32_t fill = 0;          // empty, for the kernel to receive into; a driver may have moved them to its own ring
  uint32_t rx = 0;            // received, on the RX rings
  uint32_t tx = 0;            // queued on the TX rings
  uint32_t completion = 0;    // sent, not given back; the kernel reserves a completion for each
  uint32_t tx_only_fill = 0;  // for the kernel's own packets on zero-copy transmit-only ports
  uint32_t peers = 0;         // to other balancers: queued, and sent but not given back
  uint32_t batch = 0;         // what the worker is working on
  uint32_t held = 0;          // what the worker keeps

  [[nodiscard]] uint32_t total() const { return fill + rx + tx + completion + tx_only_fill + peers + batch + held; }
  [[nodiscard]] uint64_t len_bytes() const { return uint64_t{total()} * frame_size.bytes(); }
  friend bool operator==(const FrameSum&, const FrameSum&) = default;
};

[[nodiscard]] FrameSum worker_frames(const WorkerShape& shape);

// "13312 frames, 52.0 MiB = 4096 fill + 4096 rx + ...": only the lines that are not zero.
[[nodiscard]] std::string frame_sum_text(const FrameSum& sum);

}  // namespace xdplb
