#include "tools/ctraffic/client.h"

#include <algorithm>
#include <cstdio>
#include <iterator>

#include "tools/common/go_format.h"
#include "user/base/clock.h"

namespace xdplb::ctraffic {
namespace {

constexpr int kStartsATurn = 256;  // between them, the connections under way have their turn
constexpr uint64_t kLastTickBeforeEndNs = 1500 * kNsPerMs;

Plan make_plan(const Options& options, std::vector<tools::SocketAddress> remotes) {
  Plan plan;
  plan.transport = options.udp ? tools::Transport::udp : tools::Transport::tcp;
  plan.remotes = std::move(remotes);
  plan.packet.assign(static_cast<size_t>(options.packet_bytes), '\0');
  plan.bytes_per_s = options.rate_kb_per_s * 1024 / static_cast<double>(std::max<int64_t>(options.nconn, 1));
  plan.reconnect = options.reconnect;
  return plan;
}

}  // namespace

Client::Client(tools::EventLoop& loop, const Options& options, std::vector<tools::SocketAddress> remotes,
               tools::SourcePool sources)
    : loop_(loop),
      options_(options),
      sources_(std::move(sources)),
      random_(tools::seed_or_random(0)),
      plan_(make_plan(options, std::move(remotes))),
      starter_(loop, [this] { start_more(); }),
      ticker_(loop, [this] { tick(); }) {
  totals_.rate_kb_per_s = options.rate_kb_per_s;
  totals_.connections = options.nconn;
  totals_.packet_bytes = plan_.packet.size();
}

void Client::start() {
  timespec wall{};
  clock_gettime(CLOCK_REALTIME, &wall);
  totals_.started = tools::rfc3339(wall);
  plan_.started_ns = monotonic_ns();
  plan_.deadline_ns = plan_.started_ns + static_cast<uint64_t>(options_.timeout_ns);
  starter_.set(plan_.started_ns);
  if (static_cast<uint64_t>(options_.timeout_ns) > kLastTickBeforeEndNs) ticker_.set(plan_.started_ns + kNsPerSec);
}

void Client::start_more() {
  for (int i = 0; i < kStartsATurn && begun_ < options_.nconn && !plan_.stopping; ++i) {
    ++begun_;
    auto flow = std::make_unique<Flow>(loop_, *this, plan_);
    Flow& started = *flow;
    flows_.emplace(&started, std::move(flow));
    started.start();
  }
  if (begun_ < options_.nconn && !plan_.stopping) return starter_.set(loop_.now_ns());
  if (flows_.empty()) loop_.stop();
}

void Client::stop() {
  if (plan_.stopping) return loop_.stop();
  plan_.stopping = true;
  std::vector<Flow*> flows;  // they leave flows_ as they end
  for (const auto& [flow, owner] : flows_) flows.push_back(flow);
  for (Flow* flow : flows) flow->stop();
  if (flows_.empty()) loop_.stop();
}

ConnStats* Client::begin_connection(tools::SocketAddress& source) {
  const auto id = static_cast<int64_t>(records_.size());
  // UDP has no connection to lose, so none is replaced but where sending failed.
  if (id >= options_.nconn * std::max<int64_t>(options_.retries, 1)) {
    return give_up(fmt::format("Too many re-connects: {} (-retries {})", id, options_.retries));
  }
  const auto next = sources_.next();
  if (!next) return give_up(fmt::format("Ran out of source addresses: {} has {}", options_.source_file, id));
  source = *next;
  return &records_.emplace_back();
}

ConnStats* Client::give_up(std::string cause) {
  if (fatal_.empty()) fatal_ = std::move(cause);
  loop_.stop();
  return nullptr;
}

double Client::random_below(double limit) {
  return std::uniform_real_distribution<double>(0, limit)(random_);
}

void Client::connect_failed(const std::string& cause) {
  ++totals_.failed_connects;
  connect_cause_ = cause;
}

void Client::flow_ended(Flow& flow) {
  const auto found = flows_.find(&flow);
  loop_.retire(std::move(found->second));
  flows_.erase(found);
  if (flows_.empty() && (begun_ == options_.nconn || plan_.stopping)) loop_.stop();
}

void Client::tick() {
  const uint64_t now_ns = loop_.now_ns();
  totals_.samples.push_back(
      {static_cast<int64_t>(now_ns - plan_.started_ns), totals_.sent, totals_.received, totals_.dropped});
  if (options_.monitor) print_monitor();
  if (now_ns + kLastTickBeforeEndNs < plan_.deadline_ns) {
    const auto ticks = static_cast<uint64_t>(totals_.samples.size());
    ticker_.set(plan_.started_ns + (ticks + 1) * kNsPerSec);
  }
}

void Client::print_monitor() const {
  uint64_t active = 0;
  uint64_t connecting = 0;
  for (const ConnStats& c : records_) {
    if (c.err.empty()) ++(c.connect_ns == 0 ? connecting : active);
  }
  fmt::print(stderr, "Conn act/fail/connecting: {}/{}/{}, Packets send/rec/dropped: {}/{}/{}\n", active,
             totals_.failed_connections, connecting, totals_.sent, totals_.received, totals_.dropped);
}

Statistics Client::take_statistics() {
  totals_.duration_ns = static_cast<int64_t>(monotonic_ns() - plan_.started_ns);
  const auto planned_end_ns = static_cast<int64_t>(plan_.deadline_ns - plan_.started_ns);
  for (ConnStats& c : records_) {
    if (c.ended_ns == 0) c.ended_ns = planned_end_ns;  // the run was cut short
    totals_.retransmits += c.retransmits;
  }
  if (options_.stats == Stats::all) {
    totals_.conn_stats.assign(std::move_iterator(records_.begin()), std::move_iterator(records_.end()));
  } else {
    totals_.samples.clear();
  }
  return std::move(totals_);
}

}  // namespace xdplb::ctraffic
