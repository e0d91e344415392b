// WorkerThread: runs a Worker on a core of its own until told to stop. Made, stopped and joined by the control
// thread.
//
// Two ways to wait for packets: `poll` sleeps in poll(2) and leaves the core to others; `spin` asks the rings without
// end, which saves the wake-up (some 10 us a packet when quiet) and takes the whole core.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "user/base/result.h"
#include "user/path/worker.h"

namespace xdplb {

enum class WaitMode : uint8_t { poll, spin };

class WorkerThread {
 public:
  // Starts at once. cpu < 0: not pinned.
  static Result<std::unique_ptr<WorkerThread>> start(std::unique_ptr<Worker> worker, const std::string& name, int cpu,
                                                     WaitMode wait);
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

 private:
  WorkerThread(std::unique_ptr<Worker> worker, WaitMode wait);
  void run();
  void wait_for_packets();
  bool drain();

  std::unique_ptr<Worker> worker_;
  WaitMode wait_;
  std::atomic<bool> stop_{false};
  bool drained_ = false;  // the thread's until join()
  std::thread thread_;
};

}  // namespace xdplb
