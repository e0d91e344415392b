// Frames: the chunks of a worker's packet memory, and how they are named.
//
// A worker's memory is one area of `frames` chunks of kFrameBytes each, registered by each of its ports as that
// port's own UMEM. A FrameAddr is an offset into that area: the start of a chunk (fill ring) or the first byte of
// a packet inside it (RX and TX). base() tells which chunk; completions return what was sent, so whoever frees a
// frame takes base() first. Values, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "user/base/check.h"
#include "user/base/limits.h"

namespace xdplb {

static_assert((kFrameBytes & (kFrameBytes - 1)) == 0, "chunks are found by masking");

struct FrameAddr {
  uint64_t offset = 0;

  [[nodiscard]] FrameAddr base() const { return {offset & ~uint64_t{kFrameBytes - 1}}; }
  [[nodiscard]] uint32_t index() const { return static_cast<uint32_t>(offset / kFrameBytes); }
  [[nodiscard]] uint32_t offset_in_frame() const { return static_cast<uint32_t>(offset & (kFrameBytes - 1)); }
  [[nodiscard]] FrameAddr operator+(uint32_t bytes) const { return {offset + bytes}; }
  friend bool operator==(FrameAddr, FrameAddr) = default;

  [[nodiscard]] static FrameAddr of_index(uint32_t index) { return {uint64_t{index} * kFrameBytes}; }
};

// A packet in its frame: what the RX ring gives and the TX ring takes.
struct FrameRef {
  FrameAddr addr;  // the first byte of the packet
  uint32_t len_bytes = 0;

  friend bool operator==(const FrameRef&, const FrameRef&) = default;
};

// Where the frames of one worker lie in our address space. Does not own the memory (MappedRegion does).
class FrameArea {
 public:
  FrameArea() = default;
  explicit FrameArea(std::span<std::byte> memory)
      : memory_(memory.data()), frames_(static_cast<uint32_t>(memory.size() / kFrameBytes)) {}

  [[nodiscard]] uint32_t frames() const { return frames_; }
  [[nodiscard]] uint64_t len_bytes() const { return uint64_t{frames_} * kFrameBytes; }
  [[nodiscard]] std::byte* memory() const { return memory_; }

  // A descriptor that the kernel would take: not empty, and inside one chunk of this area. One that it would not
  // take is skipped and never completes, so it must not get there.
  [[nodiscard]] bool contains(const FrameRef& frame) const {
    return frame.len_bytes != 0 && frame.addr.offset < len_bytes() && frame.len_bytes <= kFrameBytes &&
           frame.addr.offset_in_frame() + frame.len_bytes <= kFrameBytes;
  }

  [[nodiscard]] std::byte* at(FrameAddr addr) const {
    XDPLB_DCHECK(addr.offset < len_bytes());
    return memory_ + addr.offset;
  }
  [[nodiscard]] std::span<std::byte> bytes(const FrameRef& frame) const {
    XDPLB_DCHECK(contains(frame));
    return {memory_ + frame.addr.offset, frame.len_bytes};
  }

 private:
  std::byte* memory_ = nullptr;
  uint32_t frames_ = 0;
};

}  // namespace xdplb
