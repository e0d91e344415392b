#include "user/path/flow_queries.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "user/base/clock.h"
#include "user/net/flow_key_text.h"

namespace xdplb {
namespace {

Result<FlowMatcher> matcher_of(const std::vector<std::string>& terms, const Config& config) {
  const auto filter = parse_flow_filter(terms);
  if (!filter) return filter.error();
  return FlowMatcher::create(*filter, config);
}

// The longest VIP of its service that an address is in; null: none. Remembers, since flows share addresses.
class VipNames {
 public:
  explicit VipNames(const Config& config) {
    for (const Service& service : config.services) services_[service.id] = &service;
  }
  const IpPrefix* of(uint16_t service, const IpAddr& addr) {
    const auto [known, is_new] = known_.try_emplace({service, addr}, nullptr);
    const auto found = services_.find(service);
    if (!is_new || found == services_.end()) return known->second;
    for (const IpPrefix& vip : found->second->vips) {
      const bool is_better = known->second == nullptr || vip.len > known->second->len;
      if (is_better && vip.contains(addr)) known->second = &vip;
    }
    return known->second;
  }

 private:
  std::map<uint16_t, const Service*> services_;
  std::map<std::pair<uint16_t, IpAddr>, const IpPrefix*> known_;
};

// Calls visit(flow) for the flows in the next kSlotsPerLook slots. Returns where to go on; nothing where the table
// ends.
template <typename Visit>
std::optional<uint32_t> look(const FlowReader& table, uint32_t from, uint64_t now_ns, Visit visit) {
  const uint32_t end = std::min(table.slots(), from + kSlotsPerLook);
  for (uint32_t slot = from; slot < end; ++slot) {
    if (const auto flow = table.read(slot, now_ns)) visit(*flow);
  }
  return end < table.slots() ? std::optional(end) : std::nullopt;
}

}  // namespace

FlowLine flow_line(const FlowMatcher& matcher, uint32_t worker, const FlowRecord& flow) {
  const FlowNames names = matcher.names(flow);
  FlowLine line;
  line.worker = worker;
  line.protocol = protocol_text(flow.key.protocol);
  line.src = src_text(flow.key);
  line.dst = dst_text(flow.key);
  line.service = names.service;
  line.target = names.target;
  line.state = to_string(flow.state);
  line.age_ns = flow.age_ns;
  line.idle_ns = names.idle_ns;
  line.expires_in_ns = flow.expires_in_ns;
  return line;
}

template <typename Visit>
Result<std::optional<FlowCursor>> FlowQueries::look_at(const FlowCursor& at, Visit visit) {
  using Next = std::optional<FlowCursor>;
  const uint64_t now_ns = monotonic_ns();
  const std::vector<FlowReader> tables = slots_.flows->readers();
  if (at.table >= tables.size()) return Next{};
  if (at.slot >= tables[at.table].slots()) return fail("slot {}: there are {}", at.slot, tables[at.table].slots());
  const auto next = look(tables[at.table], at.slot, now_ns, [&](const FlowRecord& flow) { visit(at.table, flow); });
  if (next) return Next{{at.table, *next}};
  if (at.table + 1 < tables.size()) return Next{{at.table + 1, 0}};
  return Next{};
}

Result<FlowsPage> FlowQueries::list(const FlowsRequest& request) {
  const auto matcher = matcher_of(request.filter, config_);
  if (!matcher) return matcher.error();
  const uint32_t lines_max = std::min(request.lines_max, kFlowLinesMax);
  FlowsPage page;
  const auto next = look_at(request.from, [&](uint32_t table, const FlowRecord& flow) {
    if (!matcher->matches(table, flow)) return;
    FlowLine line = flow_line(*matcher, table, flow);
    page.counts.add(line);
    if (page.flows.size() < lines_max) page.flows.push_back(std::move(line));
  });
  if (!next) return next.error();
  page.next = *next;
  return page;
}

Result<FlowTallyPage> FlowQueries::tally(const FlowCursor& from) {
  const auto matcher = FlowMatcher::create({}, config_);
  if (!matcher) return matcher.error();
  VipNames vips(config_);
  std::map<std::tuple<std::string_view, std::string_view, const IpPrefix*>, uint64_t> sums;
  const auto next = look_at(from, [&](uint32_t, const FlowRecord& flow) {
    const FlowNames names = matcher->names(flow);
    ++sums[{names.service, names.target, vips.of(flow.service, flow.key.dst)}];
  });
  if (!next) return next.error();
  FlowTallyPage page;
  for (const auto& [of, flows] : sums) {
    const auto& [service, target, vip] = of;
    page.tallies.push_back({std::string(service), std::string(target), vip ? to_string(*vip) : "", flows});
  }
  page.next = *next;
  return page;
}

std::vector<FlowLine> FlowQueries::find(const FlowKey& key) {
  std::vector<FlowLine> lines;
  const auto matcher = FlowMatcher::create({}, config_);
  const uint64_t now_ns = monotonic_ns();
  const std::vector<FlowReader> tables = slots_.flows->readers();
  for (uint32_t t = 0; t < tables.size(); ++t) {
    const FlowHit hit = tables[t].find(tables[t].hash(key), now_ns);
    const auto flow = hit ? tables[t].read(hit.slot, now_ns) : std::nullopt;
    if (flow && flow->key == key) lines.push_back(flow_line(*matcher, t, *flow));
  }
  return lines;
}

Result<uint64_t> FlowQueries::flush(const std::vector<std::string>& filter) {
  if (flush_) return fail("another flush is under way; try again when it has ended");
  auto matcher = matcher_of(filter, config_);
  if (!matcher) return matcher.error();
  flush_.emplace(Flush{std::move(*matcher), removed(), {}, 0});
  flush_->next.assign(slots_.flows->size(), 0u);
  for (const auto& box : slots_.flush) box->expect_more(true);
  return ++number_;
}

Result<FlushState> FlowQueries::flush_state(uint64_t number) {
  if (number == 0 || number != number_) return fail("there is no flush {}", number);
  return flush_ ? FlushState{false, removed() - flush_->removed_before} : FlushState{true, flushed_};
}

void FlowQueries::advance(size_t workers, uint64_t now_ns) {
  if (!flush_) return;
  finish_own(workers);
  // One look a call, so that the control thread has time for other things; the workers take turns.
  for (size_t tried = 0; tried < flush_->next.size(); ++tried) {
    const size_t table = flush_->turn++ % flush_->next.size();
    if (!flush_->next[table] || !slots_.flush[table]->is_idle()) continue;
    look_further(*flush_, table, now_ns);
    break;
  }
  finish_own(workers);
  if (!is_finished(*flush_)) return;
  flushed_ = removed() - flush_->removed_before;
  for (const auto& box : slots_.flush) box->expect_more(false);
  flush_.reset();
}

void FlowQueries::look_further(Flush& flush, size_t table, uint64_t now_ns) {
  const FlowReader reader = slots_.flows->readers()[table];
  std::vector<FlowHandle> found;
  flush.next[table] = look(reader, *flush.next[table], now_ns, [&](const FlowRecord& flow) {
    if (flush.matcher.matches(static_cast<uint32_t>(table), flow)) found.push_back(flow.handle);
  });
  if (!found.empty()) slots_.flush[table]->post(std::move(found));
}

// Tables without a worker: nobody else writes there.
void FlowQueries::finish_own(size_t workers) {
  for (size_t t = workers; t < slots_.flows->size(); ++t) slots_.flush[t]->serve(slots_.flows->table(t), ~0u);
}

bool FlowQueries::is_finished(const Flush& flush) const {
  return std::none_of(flush.next.begin(), flush.next.end(), [](const auto& next) { return next.has_value(); }) &&
         std::all_of(slots_.flush.begin(), slots_.flush.end(), [](const auto& box) { return box->is_idle(); });
}

uint64_t FlowQueries::removed() const {
  uint64_t sum = 0;
  for (const auto& box : slots_.flush) sum += box->removed();
  return sum;
}

}  // namespace xdplb
