#include "user/base/map_aligned.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdint>

namespace xdplb {

void* map_aligned(size_t bytes, size_t alignment, int flags, int fd, off_t offset) {
  void* const reserved =
      mmap(nullptr, bytes + alignment, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return MAP_FAILED;
  auto* const begin = static_cast<std::byte*>(reserved);
  const size_t skip = -reinterpret_cast<uintptr_t>(begin) % alignment;
  void* const memory = mmap(begin + skip, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, offset);
  if (memory == MAP_FAILED) {
    const int error = errno;
    munmap(begin, bytes + alignment);
    errno = error;
    return MAP_FAILED;
  }
  if (skip != 0) munmap(begin, skip);
  munmap(begin + skip + bytes, alignment - skip);
  return memory;
}

}  // namespace xdplb
