// WorkerThread: runs a Worker on a core of its own until told to stop. Made, stopped and joined by the control
// thread.
//
// How it waits for packets: `poll` sleeps in poll(2) and leaves the core to others; `spin` asks the rings without
// end, which saves the wake-up (some 10 us a packet when quiet) and takes the whole core; `adaptive` spins while
// packets come and sleeps when none came for kAdaptiveSpinNs. In all of them a busy queue is left alone for a moment
// (TurnPause).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "user/base/result.h"
#include "user/path/turn_pause.h"
#include "user/path/worker.h"

namespace xdplb {

enum class WaitMode : uint8_t { poll, spin, adaptive };

struct WaitOptions {
  WaitMode mode = WaitMode::poll;
  // After a turn that found less than it may take: sleep so long before the next, so that it finds more. Fewer and
  // larger batches, for so much more delay. 0: only where the queue is busy.
  uint32_t coalesce_us = 0;
  // SCHED_FIFO at this priority (1 to 99); 0: the ordinary scheduler. Only with poll: a thread that spins at
  // real-time priority is stopped by the kernel for 50 ms of every second.
  int fifo_priority = 0;
};

std::string to_string(const WaitOptions& wait);

class alignas(kLineBytes) WorkerThread {
 public:
  // Starts at once. cpu < 0: not pinned.
  static Result<std::unique_ptr<WorkerThread>> start(std::unique_ptr<Worker> worker, const std::string& name, int cpu,
                                                     const WaitOptions& wait);
  ~WorkerThread();
  WorkerThread(const WorkerThread&) = delete;
  WorkerThread& operator=(const WorkerThread&) = delete;

  // Asks the thread to end: it forwards what is in the RX rings, sends what is queued, and waits for the kernel to
  // give back its frames, for at most kDrainNs. Disarm the queues first, or it will not find an end.
  void request_stop() { stop_.store(true, std::memory_order_release); }  // pairs with the loop in run()
  // Waits for the end. True where every frame came back. After that the worker is the caller's to look at.
  bool join();

  [[nodiscard]] const Worker& worker() const { return *worker_; }
  // Time spent in turns that found packets, and CPU time used, are in the worker's counters.

  static constexpr uint64_t kDrainNs = 1'000'000'000;
  static constexpr uint64_t kAdaptiveSpinNs = 50'000;
  // A spinning thread offers its core after so many turns without a packet: where the device's receive work waits for
  // that very core, it would else get it only when the scheduler takes it away.
  static constexpr uint32_t kYieldAfterTurns = 64;

 private:
  WorkerThread(std::unique_ptr<Worker> worker, const WaitOptions& wait);
  Result<void> place(const std::string& name, int cpu);
  void run();
  void wait_after(uint32_t packets, uint64_t start_ns, uint64_t now_ns);
  void wait_for_packets();
  bool drain();

  std::unique_ptr<Worker> worker_;
  WaitOptions wait_;
  TurnPause pause_;
  uint64_t last_packet_ns_ = 0;
  uint32_t empty_turns_ = 0;
  std::atomic<bool> stop_{false};
  bool drained_ = false;  // the thread's until join()
  std::thread thread_;
};

}  // namespace xdplb
