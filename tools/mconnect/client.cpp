#include "tools/mconnect/client.h"

#include <algorithm>
#include <ctime>

#include "user/base/clock.h"

namespace xdplb::mconnect {
namespace {

constexpr size_t kCausesMax = 16;  // distinct lines on standard error
constexpr int kStartsATurn = 256;  // between them, the connections under way have their turn

}  // namespace

Client::Client(tools::EventLoop& loop, const Options& options, std::vector<tools::SocketAddress> remotes,
               tools::SourcePool sources, uint64_t open_max)
    : loop_(loop),
      options_(options),
      remotes_(std::move(remotes)),
      open_max_(std::max<uint64_t>(open_max, 1)),
      sources_(std::move(sources)),
      deadline_(loop, [this] { finish(); }),
      starter_(loop, [this] { start_more(); }) {
  tally_.connects = options_.nconn;
  tally_.timeout_ns = options_.timeout_ns;
}

void Client::start() {
  clock_gettime(CLOCK_REALTIME, &tally_.start_time);
  started_ns_ = monotonic_ns();
  deadline_.set(started_ns_ + static_cast<uint64_t>(options_.timeout_ns));
  starter_.set(started_ns_);
}

void Client::start_more() {
  for (int i = 0; i < kStartsATurn; ++i) {
    if (begun_ == options_.nconn) break;
    if (concurrent_ >= options_.maxconcurrent || attempts_.size() >= open_max_) return;
    start_one();
  }
  if (begun_ < options_.nconn) return starter_.set(loop_.now_ns());
  if (attempts_.empty()) finish();
}

void Client::start_one() {
  ++begun_;
  ++concurrent_;
  const tools::SocketAddress source = *sources_.next();  // a prefix never runs out
  const auto transport = options_.udp ? tools::Transport::udp : tools::Transport::tcp;
  auto attempt = std::make_unique<Attempt>(loop_, *this, transport, source, remotes_);
  Attempt& started = *attempt;
  attempts_.emplace(&started, std::move(attempt));
  started.start();
}

void Client::connected(Attempt&) {
  --concurrent_;
  starter_.set(loop_.now_ns());
}

void Client::answered(Attempt& attempt, std::string_view host) {
  ++tally_.hosts[std::string(host)];
  if (options_.udp) --concurrent_;
  if (options_.keep && !options_.udp) return attempt.listen_on();
  drop(attempt);
}

void Client::failed(Attempt& attempt, const std::string& cause) {
  if (attempt.is_connecting()) {
    ++tally_.failed_connects;
  } else {
    ++tally_.failed_reads;
  }
  if (attempt.is_connecting() || options_.udp) --concurrent_;
  count_cause(cause, 1);
  drop(attempt);
}

void Client::drop(Attempt& attempt) {
  const auto found = attempts_.find(&attempt);
  loop_.retire(std::move(found->second));
  attempts_.erase(found);
  starter_.set(loop_.now_ns());
}

void Client::finish() {
  const auto not_begun = static_cast<uint64_t>(options_.nconn - begun_);
  uint64_t connecting = not_begun;
  uint64_t unanswered = 0;
  for (const auto& [attempt, owner] : attempts_) {
    if (attempt->is_connecting()) ++connecting;
    if (!attempt->is_connecting() && !attempt->has_answer()) ++unanswered;
  }
  tally_.failed_connects += connecting;
  tally_.failed_reads += unanswered;
  count_cause("not connected when the time was up", connecting);
  count_cause("not answered when the time was up", unanswered);
  begun_ = options_.nconn;
  attempts_.clear();
  starter_.clear();
  tally_.duration_ns = static_cast<int64_t>(monotonic_ns() - started_ns_);
  loop_.stop();
}

void Client::count_cause(const std::string& cause, uint64_t count) {
  if (count == 0) return;
  const bool known = causes_.contains(cause) || causes_.size() < kCausesMax;
  causes_[known ? cause : "other causes"] += count;
}

}  // namespace xdplb::mconnect
