// MappedRegion: the one owner of a piece of anonymous memory that packets live in.
//
// Made by the control thread before the workers start, destroyed after their sockets are closed (the kernel holds
// the pages as long as a UMEM does). Huge pages of 2 MiB are asked for, because one random frame after another
// misses the TLB with small ones; which kind it became is told, so that the start-up log can say so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "user/base/result.h"

namespace xdplb {

enum class PageKind : uint8_t {
  huge,         // from the reserved pool (vm.nr_hugepages)
  transparent,  // ordinary memory that the kernel was asked to build of huge pages; it may do so or not
  small,
};

[[nodiscard]] std::string_view page_kind_text(PageKind kind);

enum class HugePages : uint8_t { try_all, never };

class MappedRegion {
 public:
  // Rounds up to what the pages ask for. All bytes are zero.
  [[nodiscard]] static Result<MappedRegion> create(uint64_t len_bytes, HugePages huge_pages = HugePages::try_all);

  MappedRegion(MappedRegion&& other) noexcept;
  MappedRegion& operator=(MappedRegion&& other) noexcept;
  MappedRegion(const MappedRegion&) = delete;
  MappedRegion& operator=(const MappedRegion&) = delete;
  ~MappedRegion();

  [[nodiscard]] std::span<std::byte> bytes() const { return {memory_, len_bytes_}; }
  [[nodiscard]] PageKind page_kind() const { return page_kind_; }

 private:
  MappedRegion(std::byte* memory, size_t len_bytes, PageKind page_kind)
      : memory_(memory), len_bytes_(len_bytes), page_kind_(page_kind) {}

  std::byte* memory_ = nullptr;
  size_t len_bytes_ = 0;
  PageKind page_kind_ = PageKind::small;
};

}  // namespace xdplb
