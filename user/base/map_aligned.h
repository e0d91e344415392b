// mmap at an address that huge pages fit: the kernel makes them only of such parts of a mapping whose address (and,
// in a file, whose offset) is a multiple of one. Any thread.
#pragma once

#include <sys/types.h>

#include <cstddef>

namespace xdplb {

// `bytes` to be read and written, from a multiple of `alignment` (a power of two, of pages) on; `flags`, `fd` and
// `offset` as mmap has them. MAP_FAILED and errno where that is refused. The caller's, as after mmap.
void* map_aligned(size_t bytes, size_t alignment, int flags, int fd, off_t offset);

}  // namespace xdplb
