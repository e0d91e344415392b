#include "umem/region.h"

#include <sys/mman.h>

#include <cerrno>
#include <utility>

#include "user/base/map_aligned.h"

namespace xdplb {
namespace {

constexpr uint64_t kSmallPageBytes = 4096;
constexpr uint64_t kHugePageBytes = 2u << 20;

uint64_t round_up(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

}  // namespace

std::string_view page_kind_text(PageKind kind) {
  switch (kind) {
    case PageKind::huge: return "reserved 2 MiB pages";
    case PageKind::transparent: return "transparent huge pages";
    case PageKind::small: return "4 KiB pages";
  }
  return "?";
}

Result<MappedRegion> MappedRegion::create(uint64_t len_bytes, HugePages huge_pages) {
  if (len_bytes == 0) return fail("Cannot map packet memory of 0 bytes");
  // Half of the address space is never packet memory; the sums above must not wrap.
  if (len_bytes >> 46 != 0) return fail_errno(ENOMEM, "Cannot map {} bytes of packet memory", len_bytes);

  if (huge_pages == HugePages::never) {
    const uint64_t size = round_up(len_bytes, kSmallPageBytes);
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return fail_errno(errno, "Cannot map {} bytes of packet memory", size);
    return MappedRegion(static_cast<std::byte*>(memory), size, PageKind::small);
  }

  const uint64_t size = round_up(len_bytes, kHugePageBytes);
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
  if (memory != MAP_FAILED) return MappedRegion(static_cast<std::byte*>(memory), size, PageKind::huge);

  // Most hosts reserve none: nothing to complain about.
  memory = map_aligned(size, kHugePageBytes, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return fail_errno(errno, "Cannot map {} bytes of packet memory", size);
  const bool advised = madvise(memory, size, MADV_HUGEPAGE) == 0;
  return MappedRegion(static_cast<std::byte*>(memory), size, advised ? PageKind::transparent : PageKind::small);
}

MappedRegion::MappedRegion(MappedRegion&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)),
      len_bytes_(std::exchange(other.len_bytes_, 0)),
      page_kind_(other.page_kind_) {}

MappedRegion& MappedRegion::operator=(MappedRegion&& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(len_bytes_, other.len_bytes_);
  std::swap(page_kind_, other.page_kind_);
  return *this;
}

MappedRegion::~MappedRegion() {
  if (memory_ != nullptr) munmap(memory_, len_bytes_);
}

}  // namespace xdplb
