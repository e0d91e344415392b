#include "user/ctl/metrics.h"

#include <vector>

#include "user/base/clock.h"
#include "user/base/reason.h"
#include "user/ctl/counters.h"

namespace xdplb {
namespace {

// target="vm-001"
std::string label(std::string_view name, std::string_view value) {
  std::string text = fmt::format("{}=\"", name);
  for (const char c : value) {
    if (c == '\n') {
      text += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') text += '\\';
    text += c;
  }
  return text + '"';
}

class Page {
 public:
  // Everything of one metric stands together, after this.
  void family(std::string_view metric, CounterKind kind, std::string_view help) {
    metric_ = metric;
    fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", metric, help, metric,
                   kind == CounterKind::counter ? "counter" : "gauge");
  }
  void sample(std::string_view labels, uint64_t value, CounterUnit unit = CounterUnit::one) {
    text_ += metric_;
    if (!labels.empty()) {
      text_ += '{';
      text_ += labels;
      text_ += '}';
    }
    text_ += ' ';
    if (unit == CounterUnit::nanoseconds) {
      fmt::format_to(std::back_inserter(text_), "{}.{:09}", value / kNsPerSec, value % kNsPerSec);
    } else {
      const fmt::format_int digits(value);
      text_.append(digits.data(), digits.size());
    }
    text_ += '\n';
  }
  void single(std::string_view metric, CounterKind kind, std::string_view help, uint64_t value) {
    family(metric, kind, help);
    sample("", value);
  }
  // A table of counters for each of `items`, which `labels` names.
  template <typename T, size_t size>
  void table(const CounterInfo<T> (&counters)[size], const std::vector<T>& items,
             const std::vector<std::string>& labels) {
    for (const CounterInfo<T>& counter : counters) {
      family(counter.metric, counter.kind, counter.help);
      for (size_t i = 0; i < items.size(); ++i) sample(labels[i], items[i].*counter.value, counter.unit);
    }
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
  std::string_view metric_;
};

template <typename T>
std::vector<std::string> labels_by_name(const char* label_name, const std::vector<T>& items) {
  std::vector<std::string> labels;
  labels.reserve(items.size());
  for (const T& item : items) labels.push_back(label(label_name, item.name));
  return labels;
}

void add_daemon(Page& page, const MetricsSource& from) {
  page.family("xdplb_build_info", CounterKind::gauge, "The version, as a label");
  page.sample(label("version", XDPLB_VERSION), 1);
  page.family("xdplb_start_time_seconds", CounterKind::gauge, "When the daemon started, since 1970");
  page.sample("", from.stats.started_realtime_ns, CounterUnit::nanoseconds);
  page.single("xdplb_ready", CounterKind::gauge, "1: traffic may be sent here; /readyz says why not",
              from.readiness.is_ready());
  page.single("xdplb_going", CounterKind::gauge, "1: told to stop, and forwarding for the grace period",
              from.readiness.going);
  page.single("xdplb_data_plane_up", CounterKind::gauge, "1: devices are there and packets are forwarded",
              from.plane_up);
  page.single("xdplb_config_generation", CounterKind::gauge, "The configuration that all workers use",
              from.adoption.adopted_generation);
  page.single("xdplb_config_refused", CounterKind::gauge, "1: a newer configuration was refused",
              from.adoption.refused_generation > from.adoption.adopted_generation);
  page.single("xdplb_egress_device_dropped_packets_total", CounterKind::counter,
              "Of the packets sent: dropped by the egress device itself", from.stats.egress_dropped);
}

// Workers go by their number, which lasts; which queues it serves may change with the devices.
void add_workers(Page& page, const DaemonStats& stats) {
  std::vector<std::string> labels;
  page.family("xdplb_worker_info", CounterKind::gauge, "The queues and the core of a worker, as labels");
  for (size_t w = 0; w < stats.workers.size(); ++w) {
    labels.push_back(label("worker", fmt::to_string(w)));
    const WorkerStats& worker = stats.workers[w];
    page.sample(
        fmt::format("{},{},{}", labels[w], label("queues", worker.name), label("cpu", fmt::to_string(worker.cpu))),
        1);
  }
  page.table(kWorkerCounters, stats.workers, labels);
  page.family("xdplb_worker_dropped_packets_total", CounterKind::counter, "Packets dropped by the worker");
  for (size_t w = 0; w < stats.workers.size(); ++w) {
    uint64_t sum = 0;
    for (const uint64_t drops : stats.workers[w].drops) sum += drops;
    page.sample(labels[w], sum);
  }
}

void add_drops(Page& page, const DaemonStats& stats) {
  page.family("xdplb_dropped_packets_total", CounterKind::counter, "Packets dropped, by reason");
  for (size_t reason = 1; reason < stats.reasons.size(); ++reason) {
    uint64_t sum = 0;
    for (const WorkerStats& worker : stats.workers) sum += reason < worker.drops.size() ? worker.drops[reason] : 0;
    page.sample(label("reason", stats.reasons[reason]), sum);
  }
}

void add_program(Page& page, const DaemonStats& stats) {
  page.family("xdplb_program_not_redirected_packets_total", CounterKind::counter,
              "Packets for a VIP that no worker got, by cause: unarmed, no_socket and stale took the VIP's fallback");
  for (const auto& cause : kProgramCounters) page.sample(label("cause", cause.metric), stats.program.*cause.value);
}

}  // namespace

std::string metrics_text(const MetricsSource& from) {
  Page page;
  add_daemon(page, from);
  add_workers(page, from.stats);
  add_drops(page, from.stats);
  add_program(page, from.stats);
  page.table(kDeviceCounters, from.stats.devices, labels_by_name("device", from.stats.devices));
  page.table(kServiceCounters, from.stats.services, labels_by_name("service", from.stats.services));
  page.table(kTargetCounters, from.stats.targets, labels_by_name("target", from.stats.targets));
  return page.take();
}

}  // namespace xdplb
