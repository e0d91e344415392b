#include "user/ctl/stats_wire.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace xdplb {
namespace {

constexpr size_t kNameBytes = 64;
constexpr size_t kTextBytes = 192;

struct Header {
  uint32_t header_bytes;
  uint32_t pid;
  uint64_t started_realtime_ns;
  uint64_t written_monotonic_ns;
  uint64_t generation;
  uint32_t mode_bytes;
  uint32_t mode_count;
  uint32_t reason_bytes;
  uint32_t reason_count;
  uint32_t worker_bytes;
  uint32_t worker_count;
  uint32_t target_bytes;
  uint32_t target_count;
  uint32_t service_bytes;
  uint32_t service_count;
  uint64_t program_unarmed, program_no_socket, program_stale, program_other_port;
  uint64_t egress_dropped;
};
static_assert(sizeof(Header) == 112);

struct ModeRecord {
  char name[kNameBytes];
  char text[kTextBytes];
};
struct ReasonRecord {
  char name[kNameBytes];
};
// Followed by reason_count drop counters of 8 bytes.
struct WorkerRecord {
  char name[kNameBytes];
  uint64_t cpu, rx, tx, held, batches, wakeups, busy_ns, frames_total, frames_free;
  uint64_t kernel_rx_dropped, kernel_rx_ring_full, kernel_rx_invalid, kernel_fill_empty, kernel_tx_invalid;
  uint64_t flows, flows_max, flow_hits, flow_misses;
  uint64_t flow_refused_full, flow_refused_quota, flow_refused_embryonic;
  uint64_t to_peers, from_peers;
  uint64_t tx_live, live_batches;
};
static_assert(sizeof(WorkerRecord) == kNameBytes + 25 * sizeof(uint64_t));
struct TargetRecord {
  char name[kNameBytes];
  uint64_t id, packets, bytes, flows;
  uint8_t mac[6];
  uint8_t reach;
  uint8_t reserved;
};
static_assert(sizeof(TargetRecord) == kNameBytes + 5 * sizeof(uint64_t));
struct ServiceRecord {
  char name[kNameBytes];
  uint64_t packets, bytes, drops, flows;
};
static_assert(sizeof(ServiceRecord) == kNameBytes + 4 * sizeof(uint64_t));

// Cut where it does not fit; always ends with a zero.
template <size_t size>
void set_text(char (&to)[size], std::string_view text) {
  std::memcpy(to, text.data(), std::min(text.size(), size - 1));
}
template <size_t size>
std::string get_text(const char (&from)[size]) {
  return {from, ::strnlen(from, size)};
}

template <typename T>
void append(std::vector<uint8_t>& bytes, const T& record) {
  const auto* raw = reinterpret_cast<const uint8_t*>(&record);
  bytes.insert(bytes.end(), raw, raw + sizeof record);
}

WorkerRecord to_record(const WorkerStats& w) {
  WorkerRecord r{};
  set_text(r.name, w.name);
  r.cpu = w.cpu;
  r.rx = w.rx;
  r.tx = w.tx;
  r.held = w.held;
  r.batches = w.batches;
  r.wakeups = w.wakeups;
  r.busy_ns = w.busy_ns;
  r.frames_total = w.frames_total;
  r.frames_free = w.frames_free;
  r.kernel_rx_dropped = w.kernel_rx_dropped;
  r.kernel_rx_ring_full = w.kernel_rx_ring_full;
  r.kernel_rx_invalid = w.kernel_rx_invalid;
  r.kernel_fill_empty = w.kernel_fill_empty;
  r.kernel_tx_invalid = w.kernel_tx_invalid;
  r.flows = w.flows;
  r.flows_max = w.flows_max;
  r.flow_hits = w.flow_hits;
  r.flow_misses = w.flow_misses;
  r.flow_refused_full = w.flow_refused_full;
  r.flow_refused_quota = w.flow_refused_quota;
  r.flow_refused_embryonic = w.flow_refused_embryonic;
  r.to_peers = w.to_peers;
  r.from_peers = w.from_peers;
  r.tx_live = w.tx_live;
  r.live_batches = w.live_batches;
  return r;
}

WorkerStats from_record(const WorkerRecord& r) {
  WorkerStats w;
  w.name = get_text(r.name);
  w.cpu = static_cast<uint32_t>(r.cpu);
  w.rx = r.rx;
  w.tx = r.tx;
  w.held = r.held;
  w.batches = r.batches;
  w.wakeups = r.wakeups;
  w.busy_ns = r.busy_ns;
  w.frames_total = r.frames_total;
  w.frames_free = r.frames_free;
  w.kernel_rx_dropped = r.kernel_rx_dropped;
  w.kernel_rx_ring_full = r.kernel_rx_ring_full;
  w.kernel_rx_invalid = r.kernel_rx_invalid;
  w.kernel_fill_empty = r.kernel_fill_empty;
  w.kernel_tx_invalid = r.kernel_tx_invalid;
  w.flows = r.flows;
  w.flows_max = r.flows_max;
  w.flow_hits = r.flow_hits;
  w.flow_misses = r.flow_misses;
  w.flow_refused_full = r.flow_refused_full;
  w.flow_refused_quota = r.flow_refused_quota;
  w.flow_refused_embryonic = r.flow_refused_embryonic;
  w.to_peers = r.to_peers;
  w.from_peers = r.from_peers;
  w.tx_live = r.tx_live;
  w.live_batches = r.live_batches;
  return w;
}

// Takes records of a stated size off the front.
class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  // Whether `count` records of `record_bytes` each are there at all, so that nobody loops over what is not.
  [[nodiscard]] bool has(uint32_t count, uint64_t record_bytes) const {
    return record_bytes > 0 ? count <= bytes_.size() / record_bytes : count == 0;
  }
  template <typename T>
  T take(uint32_t record_bytes) {
    T record{};
    std::memcpy(&record, bytes_.data(), std::min<size_t>(sizeof record, record_bytes));
    bytes_ = bytes_.subspan(record_bytes);
    return record;
  }

 private:
  std::span<const uint8_t> bytes_;
};

}  // namespace

std::vector<uint8_t> encode_stats(const DaemonStats& stats) {
  Header header{};
  header.header_bytes = sizeof header;
  header.pid = stats.pid;
  header.started_realtime_ns = stats.started_realtime_ns;
  header.written_monotonic_ns = stats.written_monotonic_ns;
  header.generation = stats.generation;
  header.mode_bytes = sizeof(ModeRecord);
  header.mode_count = static_cast<uint32_t>(stats.modes.size());
  header.reason_bytes = sizeof(ReasonRecord);
  header.reason_count = static_cast<uint32_t>(stats.reasons.size());
  header.worker_bytes = sizeof(WorkerRecord);
  header.worker_count = static_cast<uint32_t>(stats.workers.size());
  header.target_bytes = sizeof(TargetRecord);
  header.target_count = static_cast<uint32_t>(stats.targets.size());
  header.service_bytes = sizeof(ServiceRecord);
  header.service_count = static_cast<uint32_t>(stats.services.size());
  header.program_unarmed = stats.program.unarmed;
  header.program_no_socket = stats.program.no_socket;
  header.program_stale = stats.program.stale;
  header.program_other_port = stats.program.other_port;
  header.egress_dropped = stats.egress_dropped;

  std::vector<uint8_t> bytes;
  append(bytes, header);
  for (const auto& [name, text] : stats.modes) {
    ModeRecord record{};
    set_text(record.name, name);
    set_text(record.text, text);
    append(bytes, record);
  }
  for (const std::string& reason : stats.reasons) {
    ReasonRecord record{};
    set_text(record.name, reason);
    append(bytes, record);
  }
  for (const WorkerStats& worker : stats.workers) {
    append(bytes, to_record(worker));
    for (size_t i = 0; i < stats.reasons.size(); ++i) append(bytes, i < worker.drops.size() ? worker.drops[i] : 0);
  }
  for (const TargetStats& target : stats.targets) {
    TargetRecord record{{}, target.id, target.packets, target.bytes, target.flows, {}, {}, 0};
    set_text(record.name, target.name);
    std::copy(target.mac.bytes.begin(), target.mac.bytes.end(), record.mac);
    record.reach = static_cast<uint8_t>(target.reach);
    append(bytes, record);
  }
  for (const ServiceStats& service : stats.services) {
    ServiceRecord record{{}, service.packets, service.bytes, service.drops, service.flows};
    set_text(record.name, service.name);
    append(bytes, record);
  }
  return bytes;
}

Result<DaemonStats> decode_stats(std::span<const uint8_t> bytes) {
  const Error damaged = fail("The statistics in shared memory are damaged");
  uint32_t header_bytes = 0;
  if (bytes.size() < sizeof header_bytes) return damaged;
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  if (header_bytes < sizeof header_bytes || header_bytes > bytes.size()) return damaged;

  Reader reader(bytes);
  const auto header = reader.take<Header>(header_bytes);
  DaemonStats stats;
  stats.pid = header.pid;
  stats.started_realtime_ns = header.started_realtime_ns;
  stats.written_monotonic_ns = header.written_monotonic_ns;
  stats.generation = header.generation;
  stats.program = {header.program_unarmed, header.program_no_socket, header.program_stale, header.program_other_port};
  stats.egress_dropped = header.egress_dropped;

  if (!reader.has(header.mode_count, header.mode_bytes)) return damaged;
  for (uint32_t i = 0; i < header.mode_count; ++i) {
    const auto record = reader.take<ModeRecord>(header.mode_bytes);
    stats.modes.emplace_back(get_text(record.name), get_text(record.text));
  }
  if (!reader.has(header.reason_count, header.reason_bytes)) return damaged;
  for (uint32_t i = 0; i < header.reason_count; ++i) {
    stats.reasons.push_back(get_text(reader.take<ReasonRecord>(header.reason_bytes).name));
  }
  const uint64_t worker_bytes = header.worker_bytes + uint64_t{header.reason_count} * sizeof(uint64_t);
  if (header.worker_bytes == 0 || !reader.has(header.worker_count, worker_bytes)) return damaged;
  for (uint32_t i = 0; i < header.worker_count; ++i) {
    WorkerStats& worker = stats.workers.emplace_back(from_record(reader.take<WorkerRecord>(header.worker_bytes)));
    for (uint32_t k = 0; k < header.reason_count; ++k) {
      worker.drops.push_back(reader.take<uint64_t>(sizeof(uint64_t)));
    }
  }
  if (!reader.has(header.target_count, header.target_bytes)) return damaged;
  for (uint32_t i = 0; i < header.target_count; ++i) {
    const auto r = reader.take<TargetRecord>(header.target_bytes);
    TargetStats target{get_text(r.name), static_cast<uint32_t>(r.id), r.packets, r.bytes, r.flows, {}, {}};
    std::copy(std::begin(r.mac), std::end(r.mac), target.mac.bytes.begin());
    if (r.reach >= kReachCount) return damaged;
    target.reach = static_cast<Reach>(r.reach);
    stats.targets.push_back(std::move(target));
  }
  if (!reader.has(header.service_count, header.service_bytes)) return damaged;
  for (uint32_t i = 0; i < header.service_count; ++i) {
    const auto r = reader.take<ServiceRecord>(header.service_bytes);
    stats.services.push_back({get_text(r.name), r.packets, r.bytes, r.drops, r.flows});
  }
  return stats;
}

}  // namespace xdplb
