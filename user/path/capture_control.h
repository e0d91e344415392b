// CaptureControl: a capture from its beginning to its end, on the control thread. One at a time.
//
// It ends when it is told to, when its time is up, or when nobody has read for kCaptureUnreadNs. Its memory is
// bounded (kCaptureRingBytes for all workers) and taken only while it runs.
#pragma once

#include <functional>
#include <optional>

#include "user/ctl/capture_wire.h"
#include "user/path/options.h"
#include "user/path/worker_slots.h"

namespace xdplb {

inline constexpr uint64_t kCaptureRingBytes = 32u << 20;
inline constexpr uint64_t kCaptureUnreadNs = 3'000'000'000;
inline constexpr size_t kCapturePagePackets = 256;  // some 2 ms

class CaptureControl : public CaptureVerbs {
 public:
  // All three are the daemon's and outlive it. `config` is the configuration in force; `devices` as `lb` was told.
  CaptureControl(WorkerSlots& slots, const Config& config, const LbOptions& options)
      : slots_(slots), config_(config), options_(options) {}

  Result<CaptureStarted> start(const CaptureRequest& request) override;
  Result<CapturePage> read(uint64_t number) override;
  Result<void> stop(uint64_t number) override;

  // What is to be done every few milliseconds: ends a capture that is over, frees what workers have let go of.
  void advance(uint64_t now_ns);

 private:
  struct Capture {
    CaptureFilter filter;
    uint32_t slots = 0;
    uint32_t snap_bytes = 0;
    uint64_t ends_ns = 0;
    uint64_t read_ns = 0;      // when somebody last asked
    uint64_t to_realtime = 0;  // to be added to monotonic times
  };
  [[nodiscard]] Result<CaptureFilter> filter_of(const CaptureRequest& request) const;
  void tap_workers();
  void end();
  [[nodiscard]] CapturedPacket packet_of(const CaptureRing::Front& front, size_t worker) const;
  [[nodiscard]] std::string comment_on(const CaptureRecord& record, size_t worker) const;

  WorkerSlots& slots_;
  const Config& config_;
  const LbOptions& options_;
  std::optional<Capture> capture_;
  uint64_t number_ = 0;
};

}  // namespace xdplb
