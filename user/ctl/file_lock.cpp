#include "user/ctl/file_lock.h"

#include <fcntl.h>

#include <cerrno>
#include <thread>

namespace xdplb {
namespace {

struct flock byte_lock(short type, int64_t byte) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  return lock;
}

}  // namespace

Result<bool> lock_byte(int fd, int64_t byte, std::chrono::milliseconds wait) {
  // F_OFD_SETLKW cannot be bounded without a signal, so ask again every few milliseconds: writers hold the lock for
  // less than one.
  constexpr std::chrono::milliseconds kPause{5};
  const auto deadline = std::chrono::steady_clock::now() + wait;
  for (;;) {
    struct flock lock = byte_lock(F_WRLCK, byte);
    if (::fcntl(fd, F_OFD_SETLK, &lock) == 0) return true;
    if (errno != EAGAIN && errno != EACCES && errno != EINTR) return fail_errno(errno, "Cannot lock");
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(kPause);
  }
}

void unlock_byte(int fd, int64_t byte) {
  struct flock lock = byte_lock(F_UNLCK, byte);
  ::fcntl(fd, F_OFD_SETLK, &lock);
}

bool is_byte_locked(int fd, int64_t byte) {
  struct flock lock = byte_lock(F_WRLCK, byte);
  return ::fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace xdplb
