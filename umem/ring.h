// The four rings of an AF_XDP socket, from user space's end. One thread each.
//
//   FillRing        we produce, the kernel consumes   empty frames for it to receive into
//   RxRing          the kernel produces, we consume   received packets
//   TxRing          we produce, the kernel consumes   packets to send
//   CompletionRing  the kernel produces, we consume   frames that it is done with
//
// Four types over two templates, so that a frame cannot be put where frames are taken out, nor an address where a
// packet belongs. They are built over raw pointers: a socket's mapping, or plain memory where a test plays the
// kernel.
//
// Invariants: 0 <= producer - consumer <= size, in arithmetic modulo 2^32, whatever the indices start at; size is
// a power of two. Nothing is kept between calls but cached copies of the two indices: reserve() and peek() move
// nothing, submit() and release() do. Views are valid until then.
//
// Memory orders, after net/xdp/xsk_queue.h of the kernel: an entry is written before its producer index is
// released, and read before its consumer index is released; the other end acquires what we release. Only the
// stale side of an index is cached, so a cached value errs towards "full" or "empty", never the other way.
#pragma once

#include <linux/if_xdp.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "umem/frame.h"
#include "user/base/check.h"

namespace xdplb {

// A ring as it lies in memory. The two indices and the flags belong to both ends.
struct RingMemory {
  uint32_t* producer = nullptr;
  uint32_t* consumer = nullptr;
  uint32_t* flags = nullptr;
  void* entries = nullptr;
  uint32_t size = 0;  // entries, a power of two

  [[nodiscard]] bool exists() const { return entries != nullptr; }
};

namespace ring_detail {

// How a value lies in a ring's entry.
struct Descriptors {
  using Entry = xdp_desc;
  using Value = FrameRef;
  static Value load(const Entry& entry) { return {{entry.addr}, entry.len}; }
  // Options that are not zero make the descriptor invalid: it would be skipped and its frame lost.
  static void store(Entry& entry, Value value) { entry = {value.addr.offset, value.len_bytes, 0}; }
};

struct Addresses {
  using Entry = __u64;
  using Value = FrameAddr;
  static Value load(Entry entry) { return {entry}; }
  static void store(Entry& entry, Value value) { entry = value.offset; }
};

// Entries [first, first + size) of a ring; indices wrap behind the reader's back.
template <typename Codec>
class ReadView {
 public:
  using Entry = typename Codec::Entry;
  using Value = typename Codec::Value;

  ReadView(const Entry* entries, uint32_t mask, uint32_t first, uint32_t size)
      : entries_(entries), mask_(mask), first_(first), size_(size) {}

  [[nodiscard]] uint32_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] Value operator[](uint32_t i) const {
    XDPLB_DCHECK(i < size_);
    return Codec::load(entries_[(first_ + i) & mask_]);
  }

  class Iterator {
   public:
    Iterator(const ReadView& view, uint32_t i) : view_(view), i_(i) {}
    Value operator*() const { return view_[i_]; }
    Iterator& operator++() {
      ++i_;
      return *this;
    }
    bool operator==(const Iterator& other) const { return i_ == other.i_; }

   private:
    const ReadView& view_;
    uint32_t i_;
  };
  [[nodiscard]] Iterator begin() const { return {*this, 0}; }
  [[nodiscard]] Iterator end() const { return {*this, size_}; }

 private:
  const Entry* entries_;
  uint32_t mask_;
  uint32_t first_;
  uint32_t size_;
};

template <typename Codec>
class WriteView {
 public:
  using Entry = typename Codec::Entry;
  using Value = typename Codec::Value;

  WriteView(Entry* entries, uint32_t mask, uint32_t first, uint32_t size)
      : entries_(entries), mask_(mask), first_(first), size_(size) {}

  [[nodiscard]] uint32_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  void set(uint32_t i, Value value) {
    XDPLB_DCHECK(i < size_);
    Codec::store(entries_[(first_ + i) & mask_], value);
  }

 private:
  Entry* entries_;
  uint32_t mask_;
  uint32_t first_;
  uint32_t size_;
};

template <typename Codec>
class Ring {
 public:
  // Two copies would both count.
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  Ring(Ring&&) noexcept = default;
  Ring& operator=(Ring&&) noexcept = default;
  ~Ring() = default;

  [[nodiscard]] uint32_t size() const { return mask_ + 1; }

  // The kernel asks for a system call before it goes on. Relaxed and without a fence: a flag that is set just
  // after we looked is seen on the next turn, since the port asks again as long as anything is queued.
  [[nodiscard]] bool need_wakeup() const {
    return (std::atomic_ref<uint32_t>(*flags_).load(std::memory_order_relaxed) & XDP_RING_NEED_WAKEUP) != 0;
  }

 protected:
  using Entry = typename Codec::Entry;

  explicit Ring(const RingMemory& memory)
      : shared_producer_(memory.producer),
        shared_consumer_(memory.consumer),
        flags_(memory.flags),
        entries_(static_cast<Entry*>(memory.entries)),
        mask_(memory.size - 1),
        producer_(std::atomic_ref<uint32_t>(*memory.producer).load(std::memory_order_acquire)),
        consumer_(std::atomic_ref<uint32_t>(*memory.consumer).load(std::memory_order_acquire)) {
    XDPLB_CHECK(memory.exists() && memory.size != 0 && (memory.size & mask_) == 0);
  }

  uint32_t* shared_producer_;
  uint32_t* shared_consumer_;
  uint32_t* flags_;
  Entry* entries_;
  uint32_t mask_;
  uint32_t producer_;  // ours if we produce, else what we last saw of it
  uint32_t consumer_;  // ours if we consume, else what we last saw of it
};

// The end that we read: RX and completion.
template <typename Codec>
class ConsumerRing : public Ring<Codec> {
 public:
  using View = ReadView<Codec>;

  explicit ConsumerRing(const RingMemory& memory) : Ring<Codec>(memory) {}

  // The oldest entries, at most `max`. They stay in the ring until release().
  [[nodiscard]] View peek(uint32_t max) {
    uint32_t ready = this->producer_ - this->consumer_;
    if (ready < max) {
      // Acquire: pairs with the release in the kernel's xskq_prod_submit(); the entries before it are readable.
      this->producer_ = std::atomic_ref<uint32_t>(*this->shared_producer_).load(std::memory_order_acquire);
      ready = this->producer_ - this->consumer_;
      XDPLB_DCHECK(ready <= this->size());
    }
    return View(this->entries_, this->mask_, this->consumer_, std::min(ready, max));
  }

  // Gives the `n` oldest entries back to the kernel.
  void release(uint32_t n) {
    XDPLB_DCHECK(n <= this->producer_ - this->consumer_);
    this->consumer_ += n;
    // Release: pairs with the kernel's read of the consumer index before it overwrites the entries.
    std::atomic_ref<uint32_t>(*this->shared_consumer_).store(this->consumer_, std::memory_order_release);
  }
};

// The end that we write: fill and TX.
template <typename Codec>
class ProducerRing : public Ring<Codec> {
 public:
  using Slots = WriteView<Codec>;

  explicit ProducerRing(const RingMemory& memory) : Ring<Codec>(memory) {}

  // Free entries to write to, at most `max`. The kernel sees nothing of them until submit().
  [[nodiscard]] Slots reserve(uint32_t max) {
    uint32_t free = this->size() - (this->producer_ - this->consumer_);
    if (free < max) free = this->size() - queued();
    return Slots(this->entries_, this->mask_, this->producer_, std::min(free, max));
  }

  // Publishes the first `n` of the reserved entries.
  void submit(uint32_t n) {
    XDPLB_DCHECK(n <= this->size() - (this->producer_ - this->consumer_));
    this->producer_ += n;
    // Release: pairs with the acquire in the kernel's xskq_cons_peek_desc(); the entries go before the index.
    std::atomic_ref<uint32_t>(*this->shared_producer_).store(this->producer_, std::memory_order_release);
  }

  // Entries that the kernel has not taken yet, as of now.
  [[nodiscard]] uint32_t queued() {
    // Acquire: pairs with the release in the kernel's __xskq_cons_release(); it has read what it took.
    this->consumer_ = std::atomic_ref<uint32_t>(*this->shared_consumer_).load(std::memory_order_acquire);
    const uint32_t n = this->producer_ - this->consumer_;
    XDPLB_DCHECK(n <= this->size());
    return n;
  }
};

}  // namespace ring_detail

class RxRing : public ring_detail::ConsumerRing<ring_detail::Descriptors> {
 public:
  using ConsumerRing::ConsumerRing;
};
class TxRing : public ring_detail::ProducerRing<ring_detail::Descriptors> {
 public:
  using ProducerRing::ProducerRing;
};
class FillRing : public ring_detail::ProducerRing<ring_detail::Addresses> {
 public:
  using ProducerRing::ProducerRing;
};
class CompletionRing : public ring_detail::ConsumerRing<ring_detail::Addresses> {
 public:
  using ConsumerRing::ConsumerRing;
};

}  // namespace xdplb
