#include "user/ctl/stats.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "user/base/clock.h"
#include "user/base/reason.h"
#include "user/ctl/counters.h"

namespace xdplb {
namespace {

using Json = nlohmann::ordered_json;

uint64_t sum_of_drops(const WorkerStats& worker) {
  uint64_t sum = 0;
  for (const uint64_t drops : worker.drops) sum += drops;
  return sum;
}

uint64_t drops_of(const DaemonStats& stats, size_t reason) {
  uint64_t sum = 0;
  for (const WorkerStats& worker : stats.workers) sum += reason < worker.drops.size() ? worker.drops[reason] : 0;
  return sum;
}

// The reason "none" is no drop.
Json drops_to_json(const std::vector<std::string>& reasons, const std::vector<uint64_t>& drops) {
  Json json = Json::object();
  for (size_t i = 1; i < reasons.size(); ++i) json[reasons[i]] = i < drops.size() ? drops[i] : 0;
  return json;
}

template <typename T, size_t size>
void add_counters(Json& json, const CounterInfo<T> (&counters)[size], const T& from) {
  for (const CounterInfo<T>& counter : counters) json[counter.name] = from.*counter.value;
}

Json to_json(const DaemonStats& stats, const WorkerStats& w) {
  Json json = {{"name", w.name}, {"cpu", w.cpu}};
  add_counters(json, kWorkerCounters, w);
  json["drops"] = drops_to_json(stats.reasons, w.drops);
  return json;
}

template <typename T, size_t size>
Json named_to_json(const CounterInfo<T> (&counters)[size], const T& from) {
  Json json = {{"name", from.name}};
  add_counters(json, counters, from);
  return json;
}

// Left-aligned name, right-aligned numbers, in the width of the widest name.
template <typename Items>
size_t name_width(const Items& items, size_t least) {
  size_t width = least;
  for (const auto& item : items) width = std::max(width, item.name.size());
  return width;
}

void add_workers(std::string& text, const DaemonStats& stats) {
  const size_t width = name_width(stats.workers, 8);
  text += fmt::format("{:<{}} {:>4} {:>14} {:>14} {:>12} {:>8} {:>12} {:>12} {:>10}\n", "worker", width, "cpu", "rx",
                      "tx", "dropped", "held", "batches", "flows", "busy ms");
  for (const WorkerStats& w : stats.workers) {
    text += fmt::format("{:<{}} {:>4} {:>14} {:>14} {:>12} {:>8} {:>12} {:>12} {:>10}\n", w.name, width, w.cpu, w.rx,
                        w.tx, sum_of_drops(w), w.held, w.batches, w.flows, w.busy_ns / kNsPerMs);
  }
}

void add_drops(std::string& text, const DaemonStats& stats) {
  std::string lines;
  for (size_t i = 1; i < stats.reasons.size(); ++i) {
    const uint64_t drops = drops_of(stats, i);
    if (drops == 0) continue;
    // An older or newer daemon may have reasons that this program cannot describe.
    const auto known = std::find_if(kReasonTexts.begin(), kReasonTexts.end(),
                                    [&](const ReasonText& reason) { return reason.name == stats.reasons[i]; });
    lines += fmt::format("  {:<20} {:>14}  {}\n", stats.reasons[i], drops,
                         known == kReasonTexts.end() ? "" : known->description);
  }
  text += lines.empty() ? "dropped: nothing\n" : "dropped\n" + lines;
}

void add_transmit(std::string& text, const DaemonStats& stats) {
  uint64_t tx = 0, live = 0, batches = 0;
  for (const WorkerStats& w : stats.workers) {
    tx += w.tx;
    live += w.tx_live;
    batches += w.live_batches;
  }
  text += fmt::format("sent: {} through the TX ring, {} as live frames in {} batches\n", tx - std::min(tx, live),
                      live, batches);
  if (stats.egress_dropped != 0)
    text += fmt::format("of these the egress device dropped {} itself\n", stats.egress_dropped);
}

void add_kernel(std::string& text, const DaemonStats& stats) {
  for (const WorkerStats& w : stats.workers) {
    if (w.kernel_rx_dropped + w.kernel_rx_ring_full + w.kernel_rx_invalid + w.kernel_tx_invalid == 0) continue;
    text += fmt::format("kernel, {}: rx_dropped {}, rx_ring_full {}, rx_invalid {}, fill_empty {}, tx_invalid {}\n",
                        w.name, w.kernel_rx_dropped, w.kernel_rx_ring_full, w.kernel_rx_invalid, w.kernel_fill_empty,
                        w.kernel_tx_invalid);
  }
}

void add_program(std::string& text, const ProgramStats& p) {
  if (p.unarmed + p.no_socket + p.stale != 0) {
    text += fmt::format(
        "fell back in the kernel: {} on queues that are not served, {} without a socket, {} while a worker "
        "hung\n",
        p.unarmed, p.no_socket, p.stale);
  }
  if (p.other_port != 0)
    text += fmt::format("left to the kernel: {} for ports that no service names\n", p.other_port);
}

void add_tier(std::string& text, const DaemonStats& stats) {
  uint64_t to_peers = 0, from_peers = 0;
  for (const WorkerStats& w : stats.workers) {
    to_peers += w.to_peers;
    from_peers += w.from_peers;
  }
  if (to_peers + from_peers == 0) return;
  text += fmt::format("fragments: {} handed to other balancers (of tx), {} handed over by them (of rx)\n", to_peers,
                      from_peers);
}

}  // namespace

std::vector<std::string> reason_names() {
  std::vector<std::string> names;
  names.reserve(kReasonTexts.size());
  for (const ReasonText& reason : kReasonTexts) names.emplace_back(reason.name);
  return names;
}

std::string stats_to_json(const DaemonStats& stats) {
  Json json = {{"pid", stats.pid},
               {"started_realtime_ns", stats.started_realtime_ns},
               {"written_monotonic_ns", stats.written_monotonic_ns},
               {"generation", stats.generation}};
  json["modes"] = Json::object();
  for (const auto& [name, value] : stats.modes) json["modes"][name] = value;
  json["egress_dropped"] = stats.egress_dropped;
  add_counters(json["program"], kProgramCounters, stats.program);
  WorkerStats total;
  total.name = "total";
  Json drops = Json::object();
  for (size_t i = 1; i < stats.reasons.size(); ++i) drops[stats.reasons[i]] = drops_of(stats, i);
  uint64_t dropped = 0;
  for (const WorkerStats& w : stats.workers) {
    total.rx += w.rx;
    total.tx += w.tx;
    total.held += w.held;
    total.to_peers += w.to_peers;
    total.from_peers += w.from_peers;
    dropped += sum_of_drops(w);
  }
  json["total"] = {{"rx", total.rx},
                   {"tx", total.tx},
                   {"held", total.held},
                   {"dropped", dropped},
                   {"drops", drops},
                   {"to_peers", total.to_peers},
                   {"from_peers", total.from_peers}};
  json["workers"] = Json::array();
  for (const WorkerStats& worker : stats.workers) json["workers"].push_back(to_json(stats, worker));
  json["targets"] = Json::array();
  for (const TargetStats& t : stats.targets) {
    Json target = named_to_json(kTargetCounters, t);
    target["id"] = t.id;
    target["mac"] = t.mac.is_zero() ? Json() : Json(to_string(t.mac));
    target["reach"] = to_string(t.reach);
    json["targets"].push_back(std::move(target));
  }
  json["services"] = Json::array();
  for (const ServiceStats& s : stats.services) json["services"].push_back(named_to_json(kServiceCounters, s));
  json["devices"] = Json::array();
  for (const DeviceStats& d : stats.devices) json["devices"].push_back(named_to_json(kDeviceCounters, d));
  // Names come from shared memory: bytes that are not UTF-8 must not end the program.
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

std::string stats_to_text(const DaemonStats& stats) {
  std::string text = fmt::format("pid {}, generation {}\n", stats.pid, stats.generation);
  for (const auto& [name, value] : stats.modes) text += fmt::format("{}: {}\n", name, value);
  text += '\n';
  add_workers(text, stats);
  text += '\n';
  add_transmit(text, stats);
  add_drops(text, stats);
  add_kernel(text, stats);
  add_program(text, stats.program);
  add_tier(text, stats);
  if (!stats.targets.empty()) {
    const size_t width = name_width(stats.targets, 8);
    text += fmt::format("\n{:<{}} {:>14} {:>18} {:>12}\n", "target", width, "packets", "bytes", "flows");
    for (const TargetStats& t : stats.targets) {
      text += fmt::format("{:<{}} {:>14} {:>18} {:>12}{}\n", t.name, width, t.packets, t.bytes, t.flows,
                          t.reach == Reach::by_mac ? "" : fmt::format("  {}", to_string(t.reach)));
    }
  }
  if (!stats.services.empty()) {
    const size_t width = name_width(stats.services, 8);
    text +=
        fmt::format("\n{:<{}} {:>14} {:>18} {:>12} {:>12}\n", "service", width, "packets", "bytes", "drops", "flows");
    for (const ServiceStats& s : stats.services) {
      text +=
          fmt::format("{:<{}} {:>14} {:>18} {:>12} {:>12}\n", s.name, width, s.packets, s.bytes, s.drops, s.flows);
    }
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

}  // namespace xdplb
