// XskSocket: one AF_XDP socket with a UMEM of its own, bound to one (device, queue), through libxdp.
//
// The worker's whole area is registered, the same one by each of its ports: a frame received through one leaves
// through another without a copy, each port finds its own mode (zero copy or copy), and a failed bind harms nobody.
// The kernel pins and counts the area once per port (RLIMIT_MEMLOCK).
//
// Opened and destroyed by the control thread, in the network namespace of the device; its rings are used by one
// worker through a Port. Order of the end: take the entry out of the XSKMAP (which is the caller's; this class
// loads no program and writes no map), let the port drain, destroy the Port, destroy this, then
// FramePool::reclaim() and, last, the memory.
//
// Immovable, behind unique_ptr: libxdp keeps the addresses of the ring structs until the socket is deleted.
#pragma once

#include <xdp/xsk.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "umem/frame.h"
#include "umem/port.h"
#include "umem/port_kernel.h"
#include "umem/sizing.h"
#include "user/base/result.h"

namespace xdplb {

enum class ZeroCopy : uint8_t { automatic, force, off };

struct XskOptions {
  std::string ifname;
  uint32_t ifindex = 0;  // 0: whatever ifname is now
  uint32_t queue = 0;
  RingSizes rings{};  // rx 0: transmit only; tx 0: receive only
  ZeroCopy zero_copy = ZeroCopy::automatic;
  bool need_wakeup = true;
  uint32_t headroom_bytes = 0;  // besides the 256 that the kernel leaves anyway
  // A queue stays busy for a moment after its last socket is closed: the kernel takes the pool down asynchronously.
  uint64_t bind_wait_ns = 2'000'000'000;
};

// The kernel's own counts (XDP_STATISTICS).
struct XskStatistics {
  uint64_t rx_dropped = 0;  // not for a full ring: bad packet length
  uint64_t rx_ring_full = 0;
  uint64_t rx_fill_ring_empty = 0;
  uint64_t rx_invalid_descs = 0;
  uint64_t tx_invalid_descs = 0;  // skipped, never completed: must stay 0
  uint64_t tx_ring_empty = 0;
};

class XskSocket final : public PortKernel {
 public:
  // `prefill`: frames that the ledger has under this port's name already (FramePool::take_for_fill). They are in the
  // fill ring before the bind, because a zero-copy driver fills its hardware ring then. They stay the caller's to
  // reclaim if this fails.
  [[nodiscard]] static Result<std::unique_ptr<XskSocket>> open(FrameArea area, const XskOptions& options,
                                                               std::span<const FrameAddr> prefill = {});
  ~XskSocket() override;

  [[nodiscard]] int fd() const;  // for the XSKMAP and for poll()
  [[nodiscard]] const std::string& ifname() const { return options_.ifname; }
  [[nodiscard]] uint32_t queue() const { return options_.queue; }
  [[nodiscard]] bool zero_copy() const { return zero_copy_; }
  // What zero copy met with where it was tried in vain; else empty.
  [[nodiscard]] const std::string& why_copy() const { return why_copy_; }

  // The rings for a Port, which must not outlive this.
  [[nodiscard]] PortRings port_rings() const;

  // Control thread only, once a second at most: takes a lock that transmission holds.
  [[nodiscard]] Result<XskStatistics> statistics() const;

  // PortKernel; the worker's thread.
  [[nodiscard]] Kick kick_tx() override;
  [[nodiscard]] Kick kick_rx() override;

 private:
  explicit XskSocket(const XskOptions& options) : options_(options) {}

  [[nodiscard]] Result<void> register_memory(FrameArea area, std::span<const FrameAddr> prefill);
  [[nodiscard]] int bind(uint16_t mode_flag);  // 0 or an errno
  [[nodiscard]] Result<void> read_mode();

  XskOptions options_;
  xsk_ring_prod fill_{};
  xsk_ring_cons completion_{};
  xsk_ring_cons rx_{};
  xsk_ring_prod tx_{};
  xsk_umem* umem_ = nullptr;
  xsk_socket* socket_ = nullptr;
  uint32_t prefilled_ = 0;
  bool zero_copy_ = false;
  std::string why_copy_;
};

}  // namespace xdplb
