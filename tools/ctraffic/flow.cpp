#include "tools/ctraffic/flow.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>

#include "tools/ctraffic/protocol.h"
#include "user/base/clock.h"

namespace xdplb::ctraffic {
namespace {

constexpr uint64_t kConnectTimeoutNs = 1500 * kNsPerMs;
constexpr uint64_t kEchoTimeoutNs = kNsPerSec;
constexpr uint64_t kBackoffStepNs = 100 * kNsPerMs;
constexpr uint64_t kBackoffMaxNs = kNsPerSec;
constexpr uint64_t kTooLateNs = 2 * kNsPerSec;
constexpr size_t kReadBytes = 65536;

}  // namespace

Flow::Flow(tools::EventLoop& loop, FlowOwner& owner, const Plan& plan)
    : loop_(loop), owner_(owner), plan_(plan), watch_(loop, *this) {}

int64_t Flow::since_start(uint64_t time_ns) const {
  return static_cast<int64_t>(time_ns - plan_.started_ns);
}

bool Flow::is_late(uint64_t extra_ns) const {
  return plan_.stopping || loop_.now_ns() + extra_ns + kTooLateNs > plan_.deadline_ns;
}

void Flow::on_ready(uint32_t) {
  state_ == State::connecting ? finish_connect() : exchange();
}

void Flow::on_timer() {
  switch (state_) {
    case State::backoff: return try_connect();
    case State::connecting: return connect_failed("timeout");
    case State::pacing: return pace();
    case State::exchanging:
      // A datagram, or its echo, is lost now and then; a stream that stands still is broken.
      if (is_udp()) return pace();
      return lost(failure(sent_bytes_ < plan_.packet.size() ? "write" : "read", ETIMEDOUT));
    case State::idle: return;
  }
}

void Flow::stop() {
  if (state_ != State::exchanging && record_ != nullptr) lasted();
}

// --- connecting -------------------------------------------------------------------------------------------

void Flow::begin() {
  backoff_ns_ = kBackoffStepNs;
  head_.clear();
  record_ = owner_.begin_connection(source_);
  if (record_ == nullptr) return owner_.flow_ended(*this);
  record_->started_ns = since_start(loop_.now_ns());
  try_connect();
}

void Flow::try_connect() {
  const tools::SocketAddress& remote = plan_.remotes[remote_tried_ % plan_.remotes.size()];
  state_ = State::connecting;
  auto fd = tools::start_connect(plan_.transport, source_, remote);
  if (!fd) return connect_failed(fd.error().message);
  fd_ = std::move(*fd);
  if (is_udp()) return connected();
  watch_.wait_for(fd_.get(), POLLOUT);
  watch_.set_timer(std::min(loop_.now_ns() + kConnectTimeoutNs, std::max(plan_.deadline_ns, loop_.now_ns())));
}

void Flow::finish_connect() {
  if (const int error = tools::connect_error(fd_.get()); error != 0) return connect_failed(std::strerror(error));
  connected();
}

void Flow::connect_failed(const std::string& cause) {
  const tools::SocketAddress& remote = plan_.remotes[remote_tried_++ % plan_.remotes.size()];
  close();
  owner_.connect_failed(fmt::format("connect {}: {}", tools::describe(plan_.transport, remote), cause));
  if (is_late(backoff_ns_)) return lasted();
  state_ = State::backoff;
  watch_.set_timer(loop_.now_ns() + backoff_ns_);
  backoff_ns_ = std::min(backoff_ns_ + kBackoffStepNs, kBackoffMaxNs);
}

void Flow::connected() {
  const uint64_t now_ns = loop_.now_ns();
  record_->connect_ns = since_start(now_ns);
  record_->local = tools::local_address(fd_.get()).text();
  record_->remote = tools::remote_address(fd_.get()).text();
  const auto packet_bytes = static_cast<double>(plan_.packet.size());
  bucket_.emplace(plan_.bytes_per_s, packet_bytes, owner_.random_below(packet_bytes), now_ns);
  watch_.cancel();
  pace();
}

// --- traffic ----------------------------------------------------------------------------------------------

void Flow::pace() {
  const uint64_t now_ns = loop_.now_ns();
  if (plan_.stopping || now_ns > plan_.deadline_ns) return lasted();
  if (bucket_->take(now_ns)) {
    state_ = State::exchanging;
    sent_bytes_ = 0;
    received_bytes_ = 0;
    return exchange();
  }
  const uint64_t wait_ns = bucket_->wait_ns(now_ns);
  if (wait_ns > plan_.deadline_ns - now_ns) return lasted();
  state_ = State::pacing;
  watch_.cancel();
  watch_.set_timer(now_ns + wait_ns);
}

// Sends and receives at the same time: a packet may be larger than what the sockets on the way hold.
void Flow::exchange() {
  const size_t size = plan_.packet.size();
  if (sent_bytes_ < size && !send_rest()) return;
  if (!receive_rest()) return;
  if (sent_bytes_ == size && received_bytes_ == size) return packet_received();
  watch_.wait_for(fd_.get(), sent_bytes_ < size ? POLLIN | POLLOUT : POLLIN);
}

// False where the exchange is over.
bool Flow::send_rest() {
  const size_t size = plan_.packet.size();
  bool refused_before = false;
  while (sent_bytes_ < size) {
    const ssize_t n = ::send(fd_.get(), plan_.packet.data() + sent_bytes_, size - sent_bytes_, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    // The refusal of an earlier datagram comes with a later call, once; this one has not been tried yet.
    if (n < 0 && is_udp() && errno == ECONNREFUSED && !refused_before) {
      refused_before = true;
      continue;
    }
    if (n < 0) {
      lost(failure("write", errno));
      return false;
    }
    sent_bytes_ += static_cast<size_t>(n);
  }
  watch_.set_timer(loop_.now_ns() + kEchoTimeoutNs);  // from the last progress
  if (sent_bytes_ == size) packet_sent();
  return true;
}

// False where the exchange is over without an echo.
bool Flow::receive_rest() {
  const size_t size = plan_.packet.size();
  std::array<char, kReadBytes> echo;
  while (received_bytes_ < size) {
    const ssize_t n = ::recv(fd_.get(), echo.data(), std::min(echo.size(), size - received_bytes_), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return true;
    if (n < 0) {
      // A refused datagram is a lost packet like any other.
      is_udp() ? pace() : lost(failure("read", errno));
      return false;
    }
    if (n == 0 && !is_udp()) {
      lost(received_bytes_ == 0 ? "EOF" : "unexpected EOF");
      return false;
    }
    const auto bytes = static_cast<size_t>(n);
    if (record_->received == 0 && head_.size() < kHostBytes) {
      head_.append(echo.data(), std::min(bytes, kHostBytes - head_.size()));
    }
    received_bytes_ = is_udp() ? size : received_bytes_ + bytes;
  }
  return true;
}

void Flow::packet_sent() {
  ++record_->sent;
  ++owner_.totals().sent;
  // What became due while the packet before was under way is not made up for.
  while (bucket_->take(loop_.now_ns())) {
    ++record_->dropped;
    ++owner_.totals().dropped;
  }
}

void Flow::packet_received() {
  if (record_->received == 0) record_->host = host_of(head_);
  ++record_->received;
  ++owner_.totals().received;
  pace();
}

// --- the end of a connection -----------------------------------------------------------------------------------

void Flow::close() {
  watch_.cancel();
  if (fd_.is_open() && !is_udp()) record_->retransmits = tools::total_retransmits(fd_.get());
  fd_.reset();
  state_ = State::idle;
}

void Flow::lasted() {
  close();
  record_->ended_ns = since_start(plan_.deadline_ns);
  record_ = nullptr;
  owner_.flow_ended(*this);
}

void Flow::lost(std::string err) {
  close();
  record_->ended_ns = since_start(loop_.now_ns());
  record_->err = std::move(err);
  record_ = nullptr;
  ++owner_.totals().failed_connections;
  if (!plan_.reconnect || is_late(0)) return owner_.flow_ended(*this);
  begin();
}

// "read tcp 10.0.0.1:40000->10.0.0.0:5003: i/o timeout", as Go words it: results are compared by this text.
std::string Flow::failure(const char* call, int error) const {
  const char* transport = is_udp() ? "udp" : "tcp";
  const std::string where = fmt::format("{} {} {}->{}", call, transport, record_->local, record_->remote);
  if (error == ETIMEDOUT) return where + ": i/o timeout";
  std::string cause = std::strerror(error);
  cause[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(cause[0])));
  return fmt::format("{}: {}: {}", where, call, cause);
}

}  // namespace xdplb::ctraffic
