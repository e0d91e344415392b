#include "user/path/capture_tap.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "user/base/check.h"
#include "user/net/headers.h"

namespace xdplb {
namespace {

// Where the checksum lies that rewrite() may complete; 0: nowhere in the frame.
uint16_t checksum_offset(const PacketInfo& info, uint32_t len_bytes) {
  if (info.kind != PacketKind::transport) return 0;
  const uint32_t offset = info.key.protocol == kProtoTcp   ? offsetof(TcpHeader, checksum)
                          : info.key.protocol == kProtoUdp ? offsetof(UdpHeader, checksum)
                                                           : 0;
  if (offset == 0 || uint32_t{info.l4_offset} + offset + sizeof(uint16_t) > len_bytes) return 0;
  return static_cast<uint16_t>(info.l4_offset + offset);
}

template <typename Value>
bool admits(const std::vector<Value>& list, Value value) {
  return list.empty() || std::find(list.begin(), list.end(), value) != list.end();
}

bool admits(const std::vector<IpPrefix>& list, const IpAddr& address) {
  return list.empty() ||
         std::any_of(list.begin(), list.end(), [&](const IpPrefix& prefix) { return prefix.contains(address); });
}

}  // namespace

CaptureRing::CaptureRing(uint32_t slots, uint32_t snap_bytes)
    : slots_(slots), snap_bytes_(snap_bytes), records_(slots), bytes_(size_t{slots} * snap_bytes) {
  XDPLB_CHECK(std::has_single_bit(slots));
}

bool CaptureRing::write(CaptureRecord record, std::span<const uint8_t> frame) {
  const uint32_t at = written_.load(std::memory_order_relaxed);
  if (at - read_.load(std::memory_order_acquire) == slots_) {
    lost_.store(lost_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return false;
  }
  const uint32_t slot = at & (slots_ - 1);
  record.len_bytes = static_cast<uint32_t>(frame.size());
  record.captured = std::min(record.len_bytes, snap_bytes_);
  if (record.captured != 0) std::memcpy(bytes_.data() + size_t{slot} * snap_bytes_, frame.data(), record.captured);
  records_[slot] = record;
  written_.store(at + 1, std::memory_order_release);
  return true;
}

std::optional<CaptureRing::Front> CaptureRing::front() const {
  const uint32_t at = read_.load(std::memory_order_relaxed);
  if (at == written_.load(std::memory_order_acquire)) return std::nullopt;
  const uint32_t slot = at & (slots_ - 1);
  const CaptureRecord& record = records_[slot];
  return Front{&record, {bytes_.data() + size_t{slot} * snap_bytes_, record.captured}};
}

void CaptureRing::pop() {
  read_.store(read_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

void CaptureTap::begin(std::unique_ptr<CaptureSession> session) {
  XDPLB_CHECK(current_ == nullptr && ended_ == nullptr);
  current_ = std::move(session);
  session_.store(current_.get(), std::memory_order_seq_cst);
  look(true);
}

void CaptureTap::end() {
  look(false);
  session_.store(nullptr, std::memory_order_seq_cst);
  if (current_ != nullptr) ended_ = std::move(current_);
}

bool CaptureTap::collect() {
  if (ended_ != nullptr && !in_use_.load(std::memory_order_seq_cst)) ended_.reset();
  return current_ == nullptr && ended_ == nullptr;
}

CaptureSession* CaptureTap::enter() {
  in_use_.store(true, std::memory_order_seq_cst);
  CaptureSession* session = session_.load(std::memory_order_seq_cst);
  if (session == nullptr) leave();
  return session;
}

bool CaptureTap::wants(const CaptureFilter& filter, const PacketColumns& packets, uint32_t i) const {
  if (packets.fate[i] == Fate::hold) return false;  // comes again
  if (!admits(filter.vips, packets.info[i].key.dst) || !admits(filter.services, packets.service[i])) return false;
  return filter.targets.empty() || (packets.fate[i] == Fate::forward && admits(filter.targets, packets.target[i]));
}

void CaptureTap::on_decided(const Batch& batch, uint64_t now_ns) {
  in_ = enter();
  if (in_ == nullptr) return;
  now_ns_ = now_ns;
  for (uint32_t i = 0; i < batch.count; ++i) {
    Before& before = before_[i];
    before.wanted = wants(in_->filter, batch.packets, i);
    if (!before.wanted) continue;
    const uint32_t len_bytes = batch.frames[i].len_bytes;
    std::memcpy(before.macs.data(), batch.data[i], std::min<size_t>(before.macs.size(), len_bytes));
    before.checksum_at = checksum_offset(batch.packets.info[i], len_bytes);
    if (before.checksum_at != 0) {
      std::memcpy(before.checksum.data(), batch.data[i] + before.checksum_at, before.checksum.size());
    }
  }
}

void CaptureTap::on_batch(const Batch& batch) {
  if (in_ == nullptr) return;
  const PacketColumns& packets = batch.packets;
  for (uint32_t i = 0; i < batch.count; ++i) {
    const Before& before = before_[i];
    if (!before.wanted) continue;
    const bool dropped = packets.fate[i] == Fate::drop;
    const std::vector<Reason>& reasons = in_->filter.reasons;
    if (!reasons.empty() && (!dropped || !admits(reasons, packets.reason[i]))) continue;
    CaptureRecord record;
    record.time_ns = now_ns_;
    record.fate = packets.fate[i];
    record.reason = dropped ? packets.reason[i] : Reason::none;
    record.service = packets.service[i];
    if (packets.fate[i] == Fate::forward) {
      record.target = packets.target[i];
      record.flow = packets.flow[i];
    }
    if (packets.fate[i] == Fate::peer) record.peer = packets.peer[i];
    record.macs_received = before.macs;
    record.checksum_at = before.checksum_at;
    record.checksum_received = before.checksum;
    in_->ring.write(record, {batch.data[i], batch.frames[i].len_bytes});
  }
  in_ = nullptr;
  leave();
}

void CaptureTap::on_held_drop(const FrameRef&, std::span<const uint8_t> bytes, Reason why) {
  CaptureSession* session = enter();
  if (session == nullptr) return;
  PacketInfo info;
  const CaptureFilter& filter = session->filter;
  const bool fits =
      filter.services.empty() && filter.targets.empty() && admits(filter.reasons, why) &&
      (filter.vips.empty() || (parse_packet(bytes, info) == Reason::none && admits(filter.vips, info.key.dst)));
  if (fits) {
    CaptureRecord record;
    record.time_ns = now_ns_;
    record.reason = why;
    std::memcpy(record.macs_received.data(), bytes.data(), std::min(record.macs_received.size(), bytes.size()));
    session->ring.write(record, bytes);
  }
  leave();
}

}  // namespace xdplb
