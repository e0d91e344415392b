#include "user/path/capture_control.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <bit>

#include "user/base/clock.h"

namespace xdplb {
namespace {

template <typename Items>
auto find_id(const Items& items, uint16_t id) {
  return std::find_if(items.begin(), items.end(), [id](const auto& item) { return item.id == id; });
}

template <typename Items>
std::string name_of(const Items& items, uint16_t id) {
  const auto found = find_id(items, id);
  return found == items.end() ? fmt::format("{} (gone)", id) : found->name;
}

template <typename Items>
Result<std::vector<uint16_t>> ids_of(const Items& items, const std::vector<std::string>& names, const char* what) {
  std::vector<uint16_t> ids;
  for (const std::string& name : names) {
    const auto found = std::find_if(items.begin(), items.end(), [&](const auto& item) { return item.name == name; });
    if (found == items.end()) return fail("Unknown {} [{}]", what, name);
    ids.push_back(found->id);
  }
  return ids;
}

Result<std::vector<Reason>> reasons_of(const std::vector<std::string>& names) {
  std::vector<Reason> reasons;
  for (const std::string& name : names) {
    size_t r = 1;
    while (r < kReasonCount && kReasonTexts[r].name != name) ++r;
    if (r == kReasonCount) return fail("Unknown reason [{}]; `xdplb stats --json` lists them", name);
    reasons.push_back(static_cast<Reason>(r));
  }
  return reasons;
}

}  // namespace

Result<CaptureFilter> CaptureControl::filter_of(const CaptureRequest& request) const {
  CaptureFilter filter;
  for (const std::string& text : request.vips) {
    const auto vip = parse_prefix(text);
    if (!vip) return vip.error();
    filter.vips.push_back(*vip);
  }
  auto services = ids_of(config_.services, request.services, "service");
  if (!services) return services.error();
  auto targets = ids_of(config_.targets, request.targets, "target");
  if (!targets) return targets.error();
  auto reasons = reasons_of(request.reasons);
  if (!reasons) return reasons.error();
  filter.services = std::move(*services);
  filter.targets = std::move(*targets);
  filter.reasons = std::move(*reasons);
  return filter;
}

Result<CaptureStarted> CaptureControl::start(const CaptureRequest& request) {
  if (capture_) return fail("another capture is under way: one at a time");
  const auto idle = [](const auto& tap) { return tap->collect(); };
  if (!std::all_of(slots_.taps.begin(), slots_.taps.end(), idle))
    return fail("the last capture is just ending: try again");
  auto filter = filter_of(request);
  if (!filter) return filter.error();
  if (request.seconds == 0 || request.seconds > kCaptureSecondsMax) {
    return fail("Invalid --seconds [{}]: 1 to {}", request.seconds, kCaptureSecondsMax);
  }
  if (request.snap_bytes < kCaptureSnapMin || request.snap_bytes > kFrameBytes) {
    return fail("Invalid --snaplen [{}]: {} to {}", request.snap_bytes, kCaptureSnapMin, kFrameBytes);
  }
  const uint64_t each = kCaptureRingBytes / std::max<size_t>(1, slots_.taps.size());
  const uint64_t slots = std::clamp<uint64_t>(each / (sizeof(CaptureRecord) + request.snap_bytes), 16, 1u << 16);
  const uint64_t now_ns = monotonic_ns();
  capture_ = Capture{std::move(*filter),
                     static_cast<uint32_t>(std::bit_floor(slots)),
                     request.snap_bytes,
                     now_ns + request.seconds * kNsPerSec,
                     now_ns,
                     realtime_ns() - now_ns};
  tap_workers();
  return CaptureStarted{++number_, fmt::format("{}", fmt::join(options_.ingress, ",")), options_.egress};
}

// Those that have come since, too: a device that was made anew may have more queues.
void CaptureControl::tap_workers() {
  for (const auto& tap : slots_.taps) {
    if (tap->session() != nullptr || !tap->collect()) continue;
    tap->begin(std::make_unique<CaptureSession>(capture_->filter, capture_->slots, capture_->snap_bytes));
  }
}

Result<CapturePage> CaptureControl::read(uint64_t number) {
  if (!capture_ || number != number_) return fail("capture {} has ended", number);
  capture_->read_ns = monotonic_ns();
  CapturePage page;
  page.ended = capture_->read_ns >= capture_->ends_ns;
  const size_t each = std::max<size_t>(1, kCapturePagePackets / std::max<size_t>(1, slots_.taps.size()));
  for (size_t worker = 0; worker < slots_.taps.size(); ++worker) {
    CaptureSession* session = slots_.taps[worker]->session();
    if (session == nullptr) continue;
    page.lost += session->ring.lost();
    size_t taken = 0;
    for (auto front = session->ring.front(); front && taken < each; front = session->ring.front(), ++taken) {
      page.packets.push_back(packet_of(*front, worker));
      session->ring.pop();
    }
    page.more |= taken == each;
  }
  page.ended &= !page.more;
  std::stable_sort(page.packets.begin(), page.packets.end(),
                   [](const CapturedPacket& a, const CapturedPacket& b) { return a.time_ns < b.time_ns; });
  if (page.ended) end();
  return page;
}

Result<void> CaptureControl::stop(uint64_t number) {
  if (!capture_ || number != number_) return fail("capture {} has ended", number);
  end();
  return {};
}

void CaptureControl::advance(uint64_t now_ns) {
  if (!capture_) {
    for (const auto& tap : slots_.taps) tap->collect();
    return;
  }
  tap_workers();
  if (now_ns > capture_->read_ns + kCaptureUnreadNs) end();
}

void CaptureControl::end() {
  for (const auto& tap : slots_.taps) {
    tap->end();
    tap->collect();
  }
  capture_.reset();
}

// The frame as it left, and as it came.
CapturedPacket CaptureControl::packet_of(const CaptureRing::Front& front, size_t worker) const {
  const CaptureRecord& record = *front.record;
  CapturedPacket packet;
  packet.time_ns = record.time_ns + capture_->to_realtime;
  packet.len_bytes = record.len_bytes;
  packet.received.assign(front.frame.begin(), front.frame.end());
  if (record.fate == Fate::forward || record.fate == Fate::peer) packet.sent = packet.received;
  const size_t macs = std::min(record.macs_received.size(), packet.received.size());
  std::copy_n(record.macs_received.begin(), macs, packet.received.begin());
  if (record.checksum_at != 0 && record.checksum_at + record.checksum_received.size() <= packet.received.size()) {
    std::copy(record.checksum_received.begin(), record.checksum_received.end(),
              packet.received.begin() + record.checksum_at);
  }
  packet.comment = comment_on(record, worker);
  return packet;
}

std::string CaptureControl::comment_on(const CaptureRecord& record, size_t worker) const {
  std::string text;
  if (record.service != kNoService) text = fmt::format("service {}, ", name_of(config_.services, record.service));
  switch (record.fate) {
    case Fate::forward:
      text += fmt::format("target {}, flow {}", name_of(config_.targets, record.target), to_string(record.flow));
      break;
    case Fate::peer: text += fmt::format("to balancer {} of the tier", record.peer); break;
    case Fate::drop:
      text += fmt::format("dropped: {}: {}", reason_name(record.reason),
                          kReasonTexts[static_cast<size_t>(record.reason)].description);
      break;
    case Fate::hold: break;
  }
  return text + fmt::format(", worker {}", worker);
}

}  // namespace xdplb
