// HeldFragments: the frames of fragments that came before the first of their datagram. One per worker.
//
// Owner: one worker, its thread alone. A frame is an opaque number (a frame address, an index) that this gives back
// exactly once: through take, expire, drain, or at once when hold refuses it. It never looks into a frame.
//
// Bounds, all fixed when made: frames in all, frames of one datagram, datagrams, and time: a datagram waits for as
// long as its first held frame may. When there is no room the datagram that has waited longest makes some: what waits
// for milliseconds is probably coming, what has waited for longer probably is not, and a flood of lone fragments
// cannot keep honest ones out. Everything is O(1) per frame.
//
// The first fragment may have come to another worker, so the owner asks for each waiting datagram now and then
// (for_each_waiting, then take).
#pragma once

#include <cstdint>
#include <vector>

#include "user/base/check.h"

namespace xdplb {

struct HeldFrame {
  uint64_t frame = 0;
  uint32_t len_bytes = 0;
};

struct HeldLimits {
  uint32_t frames_max = 512;          // in all
  uint32_t datagram_frames_max = 64;  // of one datagram: 64 KiB in fragments of 1500 bytes are 45
  uint32_t datagrams_max = 128;
  uint64_t wait_ns = 500'000'000;
};

class HeldFragments {
 public:
  explicit HeldFragments(const HeldLimits& limits);

  [[nodiscard]] uint32_t frames() const { return frames_held_; }
  [[nodiscard]] bool empty() const { return frames_held_ == 0; }

  // Holds a frame for the datagram of that hash (FragmentTable::hash). False: refused, its datagram has too many.
  // `drop(HeldFrame)` gets those of another datagram that had to make room.
  template <typename Drop>
  bool hold(uint64_t hash, HeldFrame frame, uint64_t now_ns, Drop&& drop);

  // The first fragment came: yields the datagram's frames in the order in which they came. Returns how many.
  template <typename Sink>
  uint32_t take(uint64_t hash, Sink&& sink);

  // Yields the frames of those whose time is up. Returns how many.
  template <typename Drop>
  uint32_t expire(uint64_t now_ns, Drop&& drop);

  // Yields everything: the worker stops.
  template <typename Drop>
  uint32_t drain(Drop&& drop);

  // The hash of each waiting datagram, longest waiting first. `visit(hash)` may take that one, and no other.
  template <typename Visit>
  void for_each_waiting(Visit&& visit);

 private:
  static constexpr uint32_t kNone = ~uint32_t{0};

  struct Node {
    HeldFrame frame;
    uint32_t next = kNone;  // of the datagram, or of the free list
  };
  struct Datagram {
    uint64_t hash = 0;
    uint64_t since_ns = 0;
    uint32_t first = kNone;  // nodes
    uint32_t last = kNone;
    uint32_t count = 0;
    uint32_t chain = kNone;  // next of the same chain, or of the free list
    uint32_t older = kNone;
    uint32_t newer = kNone;
  };

  [[nodiscard]] uint32_t find(uint64_t hash) const;
  uint32_t begin_datagram(uint64_t hash, uint64_t now_ns);
  void append(uint32_t datagram, HeldFrame frame);
  void forget(uint32_t datagram);  // its nodes go back to the free list too
  [[nodiscard]] uint32_t chain_of(uint64_t hash) const { return static_cast<uint32_t>(hash) & chain_mask_; }

  template <typename Sink>
  uint32_t yield(uint32_t datagram, Sink&& sink);

  HeldLimits limits_;
  std::vector<Node> nodes_;
  std::vector<Datagram> datagrams_;
  std::vector<uint32_t> chains_;  // heads, by hash
  uint32_t chain_mask_ = 0;
  uint32_t free_node_ = kNone;
  uint32_t free_datagram_ = kNone;
  uint32_t oldest_ = kNone;
  uint32_t newest_ = kNone;
  uint32_t frames_held_ = 0;
};

template <typename Sink>
uint32_t HeldFragments::yield(uint32_t datagram, Sink&& sink) {
  const uint32_t count = datagrams_[datagram].count;
  for (uint32_t at = datagrams_[datagram].first; at != kNone; at = nodes_[at].next) sink(nodes_[at].frame);
  forget(datagram);
  return count;
}

template <typename Drop>
bool HeldFragments::hold(uint64_t hash, HeldFrame frame, uint64_t now_ns, Drop&& drop) {
  uint32_t datagram = find(hash);
  if (datagram != kNone && datagrams_[datagram].count >= limits_.datagram_frames_max) return false;
  if (free_node_ == kNone) {
    if (oldest_ == datagram && newest_ == datagram) return false;  // it has all the room itself
    yield(oldest_ == datagram ? datagrams_[oldest_].newer : oldest_, drop);
  }
  if (datagram == kNone) {
    if (free_datagram_ == kNone) yield(oldest_, drop);
    datagram = begin_datagram(hash, now_ns);
  }
  append(datagram, frame);
  return true;
}

template <typename Sink>
uint32_t HeldFragments::take(uint64_t hash, Sink&& sink) {
  const uint32_t datagram = find(hash);
  return datagram == kNone ? 0 : yield(datagram, sink);
}

template <typename Drop>
uint32_t HeldFragments::expire(uint64_t now_ns, Drop&& drop) {
  uint32_t count = 0;
  while (oldest_ != kNone && now_ns - datagrams_[oldest_].since_ns >= limits_.wait_ns) count += yield(oldest_, drop);
  return count;
}

template <typename Drop>
uint32_t HeldFragments::drain(Drop&& drop) {
  uint32_t count = 0;
  while (oldest_ != kNone) count += yield(oldest_, drop);
  return count;
}

template <typename Visit>
void HeldFragments::for_each_waiting(Visit&& visit) {
  for (uint32_t at = oldest_; at != kNone;) {
    const uint32_t next = datagrams_[at].newer;
    visit(datagrams_[at].hash);
    at = next;
  }
}

}  // namespace xdplb
