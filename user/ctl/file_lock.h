// Open-file-description locks on one byte of a file: exclusive, released by the kernel when the last descriptor of
// the open file goes, a killed holder's included; the same across processes, C libraries and containers.
#pragma once

#include <chrono>

#include "user/base/result.h"
#include "user/base/unique_fd.h"

namespace xdplb {

// True where the lock was taken within `wait`; false where somebody else kept it.
Result<bool> lock_byte(int fd, int64_t byte, std::chrono::milliseconds wait);
void unlock_byte(int fd, int64_t byte);
// Whether another open file holds it.
bool is_byte_locked(int fd, int64_t byte);

// Gives the lock back when it goes.
class ByteLock {
 public:
  ByteLock(int fd, int64_t byte) : fd_(fd), byte_(byte) {}
  ~ByteLock() { unlock_byte(fd_, byte_); }
  ByteLock(const ByteLock&) = delete;
  ByteLock& operator=(const ByteLock&) = delete;

 private:
  int fd_;
  int64_t byte_;
};

}  // namespace xdplb
