// Memory that shares no cache line with anybody else's: for what one worker writes with every packet. Two workers
// that write to one line, each its own word, wait for each other as if it were one word.
//
// A type is aligned to kLineBytes (so its size is a multiple, too); an array is a LineVector.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace xdplb {

inline constexpr size_t kLineBytes = 64;

template <typename T>
struct LineAllocator {
  using value_type = T;

  LineAllocator() = default;
  template <typename U>
  explicit(false) LineAllocator(const LineAllocator<U>&) {}

  static size_t whole_lines(size_t n) { return (n * sizeof(T) + kLineBytes - 1) / kLineBytes * kLineBytes; }
  T* allocate(size_t n) { return static_cast<T*>(::operator new (whole_lines(n), std::align_val_t{kLineBytes})); }
  void deallocate(T* p, size_t) { ::operator delete (p, std::align_val_t{kLineBytes}); }

  friend bool operator==(const LineAllocator&, const LineAllocator&) { return true; }
};

template <typename T>
using LineVector = std::vector<T, LineAllocator<T>>;

}  // namespace xdplb
