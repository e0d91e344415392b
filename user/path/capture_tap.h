// CaptureTap: what `xdplb capture` sees of a worker: copies of the packets that a filter wants, in a ring that the
// control thread empties.
//
// It is the worker's observer. While nobody captures a batch costs one relaxed load (WorkerObserver::is_looking). One
// for each worker; it outlives the worker.
//
// Two threads: the worker writes records, the control thread begins and ends captures and reads. The ring has one
// producer and one consumer, neither waits: what finds no room is lost and counted. A capture's memory is freed when
// the worker has let go of it (in_use_), which the control thread looks for and does not wait for.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "user/path/worker.h"

namespace xdplb {

// Ids are those of the configuration in force when the capture began. Of each list any, of the lists all; an empty
// list asks nothing.
struct CaptureFilter {
  std::vector<IpPrefix> vips;      // has the destination (of an ICMP error: that of the connection)
  std::vector<uint16_t> services;  // was chosen
  std::vector<uint16_t> targets;   // was chosen
  std::vector<Reason> reasons;     // the packet was dropped for it
};

// One packet. The frame is kept as it left; what rewriting changed of it lies here as it was.
struct CaptureRecord {
  uint64_t time_ns = 0;    // monotonic
  uint32_t len_bytes = 0;  // of the frame; `captured` of them were kept
  uint32_t captured = 0;
  Fate fate = Fate::drop;
  Reason reason = Reason::none;
  FlowUse flow = FlowUse::none;
  uint8_t peer = 0;
  uint16_t service = kNoService;
  uint16_t target = kNoTarget;
  std::array<uint8_t, 12> macs_received{};
  uint16_t checksum_at = 0;  // of the L4 checksum in the frame; 0: none of it is kept
  std::array<uint8_t, 2> checksum_received{};
};

// Fixed slots of a record and the first `snap_bytes` of its frame.
class CaptureRing {
 public:
  CaptureRing(uint32_t slots, uint32_t snap_bytes);

  // Worker. False where the ring is full: the packet is lost.
  bool write(CaptureRecord record, std::span<const uint8_t> frame);
  // Control thread: the oldest record, or nothing. The bytes are valid until the next call of pop().
  struct Front {
    const CaptureRecord* record;
    std::span<const uint8_t> frame;
  };
  [[nodiscard]] std::optional<Front> front() const;
  void pop();
  [[nodiscard]] uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  uint32_t slots_;  // a power of two
  uint32_t snap_bytes_;
  std::vector<CaptureRecord> records_;
  std::vector<uint8_t> bytes_;
  std::atomic<uint64_t> lost_{0};                 // written by the worker
  alignas(64) std::atomic<uint32_t> written_{0};  // by the worker: release; partner: the acquire in front()
  alignas(64) std::atomic<uint32_t> read_{0};     // by the control thread: release; partner: the acquire in write()
};

struct CaptureSession {
  CaptureSession(const CaptureFilter& what, uint32_t slots, uint32_t snap_bytes)
      : filter(what), ring(slots, snap_bytes) {}
  CaptureFilter filter;
  CaptureRing ring;
};

class CaptureTap : public WorkerObserver {
 public:
  CaptureTap() : WorkerObserver(false) {}

  // Control thread. Begins only where no session is left.
  void begin(std::unique_ptr<CaptureSession> session);
  void end();
  // Frees a session that has ended, if the worker has let go of it. True where none is left.
  bool collect();
  [[nodiscard]] CaptureSession* session() { return current_.get(); }  // null where none runs

  // Worker.
  void on_decided(const Batch& batch, uint64_t now_ns) override;
  void on_batch(const Batch& batch) override;
  void on_held_drop(const FrameRef& frame, std::span<const uint8_t> bytes, Reason why) override;

 private:
  // What rewriting will change.
  struct Before {
    bool wanted = false;
    std::array<uint8_t, 12> macs{};
    uint16_t checksum_at = 0;
    std::array<uint8_t, 2> checksum{};
  };
  CaptureSession* enter();
  void leave() { in_use_.store(false, std::memory_order_release); }  // partner: the load in collect()
  [[nodiscard]] bool wants(const CaptureFilter& filter, const PacketColumns& packets, uint32_t i) const;

  std::unique_ptr<CaptureSession> current_, ended_;  // the control thread's
  // Both sequentially consistent: either the worker sees that the session has ended, or the control thread sees that
  // the worker is in it.
  std::atomic<CaptureSession*> session_{nullptr};
  std::atomic<bool> in_use_{false};
  // The worker's, while it is in a session.
  CaptureSession* in_ = nullptr;
  uint64_t now_ns_ = 0;
  std::array<Before, kMaxBatch> before_;
};

}  // namespace xdplb
