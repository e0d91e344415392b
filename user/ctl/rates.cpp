#include "user/ctl/rates.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <vector>

#include "user/base/clock.h"

namespace xdplb {
namespace {

struct Row {
  double rate = 0;  // to sort by
  std::string text;
};

struct Section {
  std::string head;
  std::vector<Row> rows;
  size_t shown = 0;
};

// Turns two counts into a rate.
class Span {
 public:
  Span(const DaemonStats& before, const DaemonStats& now)
      : same_(before.pid == now.pid && before.started_realtime_ns == now.started_realtime_ns &&
              before.written_monotonic_ns < now.written_monotonic_ns),
        seconds_(static_cast<double>(now.written_monotonic_ns - before.written_monotonic_ns) / 1e9) {}

  // What went down began anew with a device: no rate for once.
  [[nodiscard]] double rate(uint64_t before, uint64_t now) const {
    return same_ && now > before ? static_cast<double>(now - before) / seconds_ : 0;
  }

 private:
  bool same_;
  double seconds_;
};

uint64_t sum(const std::vector<uint64_t>& values) {
  return std::accumulate(values.begin(), values.end(), uint64_t{0});
}

// The item of that name before; one that was not there had counted nothing.
template <typename T>
class Before {
 public:
  explicit Before(const std::vector<T>& items) {
    for (const T& item : items) by_name_.emplace(item.name, &item);
  }
  const T& operator()(const std::string& name) const {
    static const T none;
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? none : *found->second;
  }

 private:
  std::map<std::string, const T*, std::less<>> by_name_;
};

std::string percent(double part) {
  return fmt::format("{:.0f} %", part * 100);
}

constexpr const char* kLine = "{:<24.24} {:>10} {:>10} {:>10} {:>10} {:>10}\n";

Section workers(const DaemonStats& before, const DaemonStats& now, const Span& span) {
  Section section{fmt::format(kLine, "worker", "in/s", "out/s", "dropped/s", "busy", "flows"), {}};
  const Before<WorkerStats> old(before.workers);
  for (const WorkerStats& w : now.workers) {
    const WorkerStats& b = old(w.name);
    const double rx = span.rate(b.rx, w.rx);
    section.rows.push_back(
        {rx, fmt::format(kLine, w.name, rate_text(rx), rate_text(span.rate(b.tx, w.tx)),
                         rate_text(span.rate(sum(b.drops), sum(w.drops))),
                         percent(span.rate(b.busy_ns, w.busy_ns) / static_cast<double>(kNsPerSec)), w.flows)});
  }
  return section;
}

template <typename T>
Row traffic_row(const T& before, const T& now, const Span& span, const std::string& dropped) {
  const double packets = span.rate(before.packets, now.packets);
  return {packets, fmt::format(kLine, now.name, rate_text(packets), rate_text(span.rate(before.bytes, now.bytes) * 8),
                               dropped, "", now.flows)};
}

Section services(const DaemonStats& before, const DaemonStats& now, const Span& span) {
  Section section{fmt::format(kLine, "service", "packets/s", "bit/s", "dropped/s", "", "flows"), {}};
  const Before<ServiceStats> old(before.services);
  for (const ServiceStats& s : now.services) {
    const ServiceStats& b = old(s.name);
    section.rows.push_back(traffic_row(b, s, span, rate_text(span.rate(b.drops, s.drops))));
  }
  return section;
}

Section targets(const DaemonStats& before, const DaemonStats& now, const Span& span) {
  Section section{fmt::format(kLine, "target", "packets/s", "bit/s", "", "", "flows"), {}};
  const Before<TargetStats> old(before.targets);
  for (const TargetStats& t : now.targets) section.rows.push_back(traffic_row(old(t.name), t, span, ""));
  return section;
}

// Those that count now.
Section reasons(const DaemonStats& before, const DaemonStats& now, const Span& span) {
  Section section{fmt::format(kLine, "dropped because", "packets/s", "", "", "", "in all"), {}};
  const auto dropped = [](const DaemonStats& stats, size_t reason) {
    uint64_t of_all = 0;
    for (const WorkerStats& w : stats.workers) of_all += reason < w.drops.size() ? w.drops[reason] : 0;
    return of_all;
  };
  for (size_t reason = 1; reason < now.reasons.size(); ++reason) {
    const uint64_t all = dropped(now, reason);
    const double rate = span.rate(dropped(before, reason), all);
    if (rate > 0)
      section.rows.push_back({rate, fmt::format(kLine, now.reasons[reason], rate_text(rate), "", "", "", all)});
  }
  return section;
}

// One row each in turn, as long as there are lines. A section costs its head and an empty line before it.
void share_lines(std::vector<Section>& sections, size_t lines) {
  for (size_t used = sections.size() * 2; used < lines;) {
    const size_t used_before = used;
    for (Section& section : sections) {
      if (used >= lines || section.shown >= section.rows.size()) continue;
      ++section.shown;
      ++used;
    }
    if (used == used_before) return;
  }
}

std::string section_text(const Section& section) {
  std::string text = "\n" + section.head;
  const bool cut = section.shown < section.rows.size();
  const size_t whole = cut && section.shown > 0 ? section.shown - 1 : section.shown;
  for (size_t i = 0; i < whole; ++i) text += section.rows[i].text;
  if (cut && section.shown > 0) text += fmt::format("... and {} more\n", section.rows.size() - whole);
  return text;
}

std::string head_text(const DaemonStats& before, const DaemonStats& now, const Span& span) {
  uint64_t rx[2] = {}, tx[2] = {}, drops[2] = {}, flows = 0, held = 0, bytes[2] = {};
  const DaemonStats* both[2] = {&before, &now};
  for (size_t i = 0; i < 2; ++i) {
    for (const WorkerStats& w : both[i]->workers) {
      rx[i] += w.rx;
      tx[i] += w.tx;
      drops[i] += sum(w.drops);
    }
    for (const ServiceStats& s : both[i]->services) bytes[i] += s.bytes;
  }
  for (const WorkerStats& w : now.workers) {
    flows += w.flows;
    held += w.held;
  }
  return fmt::format("xdplb, pid {}, generation {}\n", now.pid, now.generation) +
         fmt::format("in {}/s, out {}/s ({}bit/s), dropped {}/s, held {}, flows {}\n",
                     rate_text(span.rate(rx[0], rx[1])), rate_text(span.rate(tx[0], tx[1])),
                     rate_text(span.rate(bytes[0], bytes[1]) * 8), rate_text(span.rate(drops[0], drops[1])), held,
                     flows);
}

// Names are bytes from a file: one that would steer the terminal is shown as it is not.
std::string fit(const std::string& text, ScreenSize size) {
  std::string fitted;
  size_t column = 0, line = 0;
  for (const char c : text) {
    if (c == '\n') {
      fitted += c;
      column = 0;
      if (++line == size.lines) break;
    } else if (column++ < size.columns) {
      fitted += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    }
  }
  return fitted;
}

}  // namespace

std::string rate_text(double per_second) {
  const char* const units[] = {"", "k", "M", "G", "T"};
  size_t unit = 0;
  while (per_second >= 999.5 && unit + 1 < std::size(units)) {
    per_second /= 1000;
    ++unit;
  }
  if (per_second == 0) return "0";
  const int decimals = per_second < 9.995 ? 2 : per_second < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f}{}", per_second, decimals, units[unit]);
}

std::string rates_text(const DaemonStats& before, const DaemonStats& now, ScreenSize size) {
  const Span span(before, now);
  std::vector<Section> sections = {workers(before, now, span), services(before, now, span),
                                   targets(before, now, span), reasons(before, now, span)};
  std::erase_if(sections, [](const Section& section) { return section.rows.empty(); });
  for (Section& section : sections) {
    std::stable_sort(section.rows.begin(), section.rows.end(),
                     [](const Row& a, const Row& b) { return a.rate > b.rate; });
  }
  constexpr size_t kHeadLines = 2;
  share_lines(sections, size.lines - std::min(size.lines, kHeadLines));
  std::string text = head_text(before, now, span);
  for (const Section& section : sections) text += section_text(section);
  return fit(text, size);
}

}  // namespace xdplb
