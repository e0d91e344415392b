#include "user/lb/held_fragments.h"

#include <bit>

namespace xdplb {

HeldFragments::HeldFragments(const HeldLimits& limits)
    : limits_(limits),
      nodes_(limits.frames_max),
      datagrams_(limits.datagrams_max),
      chains_(std::bit_ceil(limits.datagrams_max), kNone),
      chain_mask_(static_cast<uint32_t>(chains_.size()) - 1) {
  XDPLB_CHECK(limits.frames_max > 0 && limits.datagrams_max > 0 && limits.datagram_frames_max > 0);
  for (uint32_t i = limits.frames_max; i-- > 0;) {
    nodes_[i].next = free_node_;
    free_node_ = i;
  }
  for (uint32_t i = limits.datagrams_max; i-- > 0;) {
    datagrams_[i].chain = free_datagram_;
    free_datagram_ = i;
  }
}

uint32_t HeldFragments::find(uint64_t hash) const {
  uint32_t at = chains_[chain_of(hash)];
  while (at != kNone && datagrams_[at].hash != hash) at = datagrams_[at].chain;
  return at;
}

uint32_t HeldFragments::begin_datagram(uint64_t hash, uint64_t now_ns) {
  XDPLB_DCHECK(free_datagram_ != kNone);
  const uint32_t at = free_datagram_;
  Datagram& datagram = datagrams_[at];
  free_datagram_ = datagram.chain;
  uint32_t& head = chains_[chain_of(hash)];
  datagram = {.hash = hash, .since_ns = now_ns, .chain = head, .older = newest_};
  head = at;
  (newest_ == kNone ? oldest_ : datagrams_[newest_].newer) = at;
  newest_ = at;
  return at;
}

void HeldFragments::append(uint32_t at, HeldFrame frame) {
  XDPLB_DCHECK(free_node_ != kNone);
  Datagram& datagram = datagrams_[at];
  const uint32_t node = free_node_;
  free_node_ = nodes_[node].next;
  nodes_[node] = {.frame = frame, .next = kNone};
  (datagram.last == kNone ? datagram.first : nodes_[datagram.last].next) = node;
  datagram.last = node;
  ++datagram.count;
  ++frames_held_;
}

void HeldFragments::forget(uint32_t at) {
  Datagram& datagram = datagrams_[at];
  uint32_t* link = &chains_[chain_of(datagram.hash)];
  while (*link != at) link = &datagrams_[*link].chain;
  *link = datagram.chain;
  (datagram.older == kNone ? oldest_ : datagrams_[datagram.older].newer) = datagram.newer;
  (datagram.newer == kNone ? newest_ : datagrams_[datagram.newer].older) = datagram.older;
  nodes_[datagram.last].next = free_node_;
  free_node_ = datagram.first;
  frames_held_ -= datagram.count;
  datagram = {.chain = free_datagram_};
  free_datagram_ = at;
}

}  // namespace xdplb
