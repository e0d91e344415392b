// Frames: the chunks of a worker's packet memory, and how they are named.
//
// A worker's memory is one area of chunks of one FrameSize, registered by each of its ports as that port's own UMEM.
// A FrameAddr is an offset into that area: the start of a chunk (fill ring) or the first byte of a packet inside it
// (RX and TX). The FrameSize tells which chunk; completions return what was sent, so whoever frees a frame asks it
// first. Values, any thread.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "user/base/check.h"
#include "user/base/limits.h"

namespace xdplb {

struct FrameAddr {
  uint64_t offset = 0;

  [[nodiscard]] FrameAddr operator+(uint32_t bytes) const { return {offset + bytes}; }
  friend bool operator==(FrameAddr, FrameAddr) = default;
};

// How long the chunks of an area are: a power of two, so that they are found by shifting.
class FrameSize {
 public:
  explicit constexpr FrameSize(uint32_t bytes) : shift_(static_cast<uint32_t>(std::countr_zero(bytes))) {
    XDPLB_CHECK(std::has_single_bit(bytes));
  }

  [[nodiscard]] constexpr uint32_t bytes() const { return 1u << shift_; }
  [[nodiscard]] FrameAddr at(uint32_t index) const { return {uint64_t{index} << shift_}; }
  [[nodiscard]] uint32_t index(FrameAddr addr) const { return static_cast<uint32_t>(addr.offset >> shift_); }
  [[nodiscard]] uint32_t offset_in(FrameAddr addr) const {
    return static_cast<uint32_t>(addr.offset & (bytes() - 1));
  }
  friend bool operator==(FrameSize, FrameSize) = default;

 private:
  uint32_t shift_;
};
inline constexpr FrameSize kSmallFrames{kSmallFrameBytes};
inline constexpr FrameSize kLargeFrames{kFrameBytes};

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
  explicit FrameArea(std::span<std::byte> memory, FrameSize frame_size = kLargeFrames)
      : memory_(memory.data()),
        frames_(static_cast<uint32_t>(memory.size() / frame_size.bytes())),
        frame_size_(frame_size) {}

  [[nodiscard]] uint32_t frames() const { return frames_; }
  [[nodiscard]] FrameSize frame_size() const { return frame_size_; }
  [[nodiscard]] uint64_t len_bytes() const { return uint64_t{frames_} * frame_size_.bytes(); }
  [[nodiscard]] std::byte* memory() const { return memory_; }

  // A descriptor that the kernel would take: not empty, and inside one chunk of this area. One that it would not
  // take is skipped and never completes, so it must not get there.
  [[nodiscard]] bool contains(const FrameRef& frame) const {
    const uint32_t chunk_bytes = frame_size_.bytes();
    return frame.len_bytes != 0 && frame.addr.offset < len_bytes() && frame.len_bytes <= chunk_bytes &&
           frame_size_.offset_in(frame.addr) + frame.len_bytes <= chunk_bytes;
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
  FrameSize frame_size_ = kLargeFrames;
};

}  // namespace xdplb
