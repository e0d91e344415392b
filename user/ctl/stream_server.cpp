#include "user/ctl/stream_server.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "user/base/clock.h"

namespace xdplb {
namespace {

constexpr size_t kReadBytes = 4096;
constexpr size_t kWriteBytes = 256u << 10;  // a turn
// For a request and its answer, from the first byte to the last.
constexpr uint64_t kExchangeTimeout_ns = 10 * kNsPerSec;
constexpr uint64_t kLinger_ns = 2 * kNsPerSec;  // for a client to read the rest and close
constexpr uint64_t kLookForSlow_ns = kNsPerSec / 2;

bool is_passing(int error) {
  return error == EAGAIN || error == EINTR;
}

}  // namespace

struct StreamServer::Client {
  uint64_t id = 0;
  UniqueFd fd;
  WatchId watch = 0;
  uint64_t deadline_ns = 0;
  std::string request;  // what has come of it
  StreamAnswer answer;
  size_t sent_bytes = 0;  // of head and body
};

Result<std::unique_ptr<StreamServer>> StreamServer::create(EventLoop& loop, UniqueFd listener, StreamRules rules) {
  std::unique_ptr<StreamServer> server(new StreamServer(loop, std::move(listener), std::move(rules)));
  auto accepting = server->accepting_.open(
      server->listener_.get(), [raw = server.get()] { raw->accept_client(); }, kLookForSlow_ns,
      [raw = server.get()] { raw->drop_slow_clients(); });
  if (!accepting) return accepting.error();
  return server;
}

StreamServer::StreamServer(EventLoop& loop, UniqueFd listener, StreamRules rules)
    : loop_(loop), listener_(std::move(listener)), rules_(std::move(rules)), accepting_(loop) {}

StreamServer::~StreamServer() {
  while (!clients_.empty()) drop(*clients_.begin()->second);
}

void StreamServer::accept_client() {
  // One a turn: the loop calls again, and serves others in between.
  UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd.is_open() || !rules_.is_allowed(fd.get())) return;
  if (clients_.size() >= rules_.clients_max) {
    if (!rules_.oldest_gives_way) return;
    drop(*clients_.begin()->second);
  }
  auto client = std::make_unique<Client>();
  client->id = next_client_++;
  client->fd = std::move(fd);
  start_reading(*clients_.emplace(client->id, std::move(client)).first->second);
}

void StreamServer::start_reading(Client& client) {
  client.deadline_ns = monotonic_ns() + kExchangeTimeout_ns;
  wait_for(client, Interest::readable, &StreamServer::read);
}

// Drops a client that cannot be waited for.
void StreamServer::wait_for(Client& client, Interest interest, Step step) {
  loop_.remove(client.watch);
  const auto ready = [this, raw = &client, step] { (this->*step)(*raw); };
  const int fd = client.fd.get();
  const auto watch = interest == Interest::readable ? loop_.watch_fd(fd, ready) : loop_.watch_writable(fd, ready);
  if (!watch) return drop(client);
  client.watch = *watch;
}

void StreamServer::read(Client& client) {
  char bytes[kReadBytes];
  const ssize_t length = ::recv(client.fd.get(), bytes, sizeof bytes, 0);
  if (length < 0 && is_passing(errno)) return;
  if (length <= 0) return drop(client);
  client.request.append(bytes, static_cast<size_t>(length));
  auto answer = rules_.answer(client.request);
  if (!answer) return;
  client.answer = std::move(*answer);
  client.request = {};
  client.sent_bytes = 0;
  wait_for(client, Interest::writable, &StreamServer::write);
}

void StreamServer::write(Client& client) {
  const std::string_view head = client.answer.head;
  const std::string_view body = client.answer.body ? std::string_view(*client.answer.body) : "";
  const bool in_head = client.sent_bytes < head.size();
  const std::string_view part =
      in_head ? head.substr(client.sent_bytes) : body.substr(client.sent_bytes - head.size(), kWriteBytes);
  const int more = in_head && !body.empty() ? MSG_MORE : 0;
  const ssize_t length = ::send(client.fd.get(), part.data(), part.size(), MSG_NOSIGNAL | more);
  if (length < 0 && is_passing(errno)) return;
  if (length < 0) return drop(client);
  client.sent_bytes += static_cast<size_t>(length);
  if (client.sent_bytes < head.size() + body.size()) return;
  client.answer = {};
  rules_.one_request ? finish(client) : start_reading(client);
}

// A close with bytes of the client's unread would make the kernel throw away what it has not yet got of ours.
void StreamServer::finish(Client& client) {
  ::shutdown(client.fd.get(), SHUT_WR);
  client.deadline_ns = std::min(client.deadline_ns, monotonic_ns() + kLinger_ns);
  wait_for(client, Interest::readable, &StreamServer::discard);
}

void StreamServer::discard(Client& client) {
  char bytes[kReadBytes];
  const ssize_t length = ::recv(client.fd.get(), bytes, sizeof bytes, 0);
  if (length == 0 || (length < 0 && !is_passing(errno))) drop(client);
}

void StreamServer::drop(const Client& client) {
  loop_.remove(client.watch);
  clients_.erase(uint64_t{client.id});
}

void StreamServer::drop_slow_clients() {
  const uint64_t now_ns = monotonic_ns();
  for (auto next = clients_.begin(); next != clients_.end();) {
    const Client& client = *next++->second;
    if (client.deadline_ns <= now_ns) drop(client);
  }
}

}  // namespace xdplb
