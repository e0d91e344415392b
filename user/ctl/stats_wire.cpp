#include "user/ctl/stats_wire.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "user/ctl/counters.h"

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
  uint32_t device_bytes;
  uint32_t device_count;
};
static_assert(sizeof(Header) == 120);

struct ModeRecord {
  char name[kNameBytes];
  char text[kTextBytes];
};
struct ReasonRecord {
  char name[kNameBytes];
};
// The others begin with a name, too. A worker's has its CPU next, and is followed by reason_count drop counters of 8
// bytes; then, as in a service's and a device's, come the counters in the order of their table (counters.h).
constexpr uint32_t kWorkerBytes = kNameBytes + sizeof(uint64_t) * (1 + std::size(kWorkerCounters));
constexpr uint32_t kServiceBytes = kNameBytes + sizeof(uint64_t) * std::size(kServiceCounters);
constexpr uint32_t kDeviceBytes = kNameBytes + sizeof(uint64_t) * std::size(kDeviceCounters);
struct TargetRecord {
  char name[kNameBytes];
  uint64_t id, packets, bytes, flows;
  uint8_t mac[6];
  uint8_t reach;
  uint8_t reserved;
  uint64_t usable;
};
static_assert(sizeof(TargetRecord) == kNameBytes + 6 * sizeof(uint64_t));
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

void append_name(std::vector<uint8_t>& bytes, std::string_view name) {
  char text[kNameBytes] = {};
  set_text(text, name);
  append(bytes, text);
}

template <typename T, size_t size>
void append_counters(std::vector<uint8_t>& bytes, const CounterInfo<T> (&counters)[size], const T& from) {
  for (const CounterInfo<T>& counter : counters) append(bytes, from.*counter.value);
}

// One record, field by field; what it is too short for is zero.
class Fields {
 public:
  explicit Fields(std::span<const uint8_t> record) : rest_(record) {}

  std::string name() {
    char text[kNameBytes] = {};
    copy(&text, sizeof text);
    return get_text(text);
  }
  uint64_t number() {
    uint64_t value = 0;
    copy(&value, sizeof value);
    return value;
  }
  template <typename T, size_t size>
  void counters(const CounterInfo<T> (&counters)[size], T& to) {
    for (const CounterInfo<T>& counter : counters) to.*counter.value = number();
  }

 private:
  void copy(void* to, size_t size) {
    const size_t there = rest_.size() < size ? 0 : size;
    std::memcpy(to, rest_.data(), there);
    rest_ = rest_.subspan(there == 0 ? rest_.size() : there);
  }
  std::span<const uint8_t> rest_;
};

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
  Fields take_fields(uint32_t record_bytes) {
    const Fields fields(bytes_.first(record_bytes));
    bytes_ = bytes_.subspan(record_bytes);
    return fields;
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
  header.worker_bytes = kWorkerBytes;
  header.worker_count = static_cast<uint32_t>(stats.workers.size());
  header.target_bytes = sizeof(TargetRecord);
  header.target_count = static_cast<uint32_t>(stats.targets.size());
  header.service_bytes = kServiceBytes;
  header.service_count = static_cast<uint32_t>(stats.services.size());
  header.program_unarmed = stats.program.unarmed;
  header.program_no_socket = stats.program.no_socket;
  header.program_stale = stats.program.stale;
  header.program_other_port = stats.program.other_port;
  header.egress_dropped = stats.egress_dropped;
  header.device_bytes = kDeviceBytes;
  header.device_count = static_cast<uint32_t>(stats.devices.size());

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
    append_name(bytes, worker.name);
    append(bytes, uint64_t{worker.cpu});
    append_counters(bytes, kWorkerCounters, worker);
    for (size_t i = 0; i < stats.reasons.size(); ++i) append(bytes, i < worker.drops.size() ? worker.drops[i] : 0);
  }
  for (const TargetStats& target : stats.targets) {
    TargetRecord record{{}, target.id, target.packets, target.bytes, target.flows, {}, {}, 0, target.usable};
    set_text(record.name, target.name);
    std::copy(target.mac.bytes.begin(), target.mac.bytes.end(), record.mac);
    record.reach = static_cast<uint8_t>(target.reach);
    append(bytes, record);
  }
  for (const ServiceStats& service : stats.services) {
    append_name(bytes, service.name);
    append_counters(bytes, kServiceCounters, service);
  }
  for (const DeviceStats& device : stats.devices) {
    append_name(bytes, device.name);
    append_counters(bytes, kDeviceCounters, device);
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
    WorkerStats& worker = stats.workers.emplace_back();
    Fields fields = reader.take_fields(header.worker_bytes);
    worker.name = fields.name();
    worker.cpu = static_cast<uint32_t>(fields.number());
    fields.counters(kWorkerCounters, worker);
    for (uint32_t k = 0; k < header.reason_count; ++k) {
      worker.drops.push_back(reader.take<uint64_t>(sizeof(uint64_t)));
    }
  }
  if (!reader.has(header.target_count, header.target_bytes)) return damaged;
  for (uint32_t i = 0; i < header.target_count; ++i) {
    const auto r = reader.take<TargetRecord>(header.target_bytes);
    TargetStats target{get_text(r.name), static_cast<uint32_t>(r.id), r.packets, r.bytes, r.flows, {}, {}, r.usable};
    std::copy(std::begin(r.mac), std::end(r.mac), target.mac.bytes.begin());
    if (r.reach >= kReachCount) return damaged;
    target.reach = static_cast<Reach>(r.reach);
    stats.targets.push_back(std::move(target));
  }
  if (!reader.has(header.service_count, header.service_bytes)) return damaged;
  for (uint32_t i = 0; i < header.service_count; ++i) {
    ServiceStats& service = stats.services.emplace_back();
    Fields fields = reader.take_fields(header.service_bytes);
    service.name = fields.name();
    fields.counters(kServiceCounters, service);
  }
  if (!reader.has(header.device_count, header.device_bytes)) return damaged;
  for (uint32_t i = 0; i < header.device_count; ++i) {
    DeviceStats& device = stats.devices.emplace_back();
    Fields fields = reader.take_fields(header.device_bytes);
    device.name = fields.name();
    fields.counters(kDeviceCounters, device);
  }
  return stats;
}

}  // namespace xdplb
