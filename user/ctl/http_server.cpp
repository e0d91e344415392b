#include "user/ctl/http_server.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "user/base/clock.h"

namespace xdplb {
namespace {

constexpr int kBacklog = 64;
constexpr size_t kReadBytes = 4096;
constexpr size_t kWriteBytes = 256u << 10;      // a turn
constexpr uint64_t kLinger_ns = 2 * kNsPerSec;  // for a client to read the rest and close
constexpr uint64_t kLookForSlow_ns = kNsPerSec / 2;

const char* status_text(int status) {
  switch (status) {
    case 200: return "200 OK";
    case 400: return "400 Bad Request";
    case 404: return "404 Not Found";
    case 405: return "405 Method Not Allowed";
    case 431: return "431 Request Header Fields Too Large";
    default: return "503 Service Unavailable";
  }
}

std::shared_ptr<const HttpPage> refusal(int status) {
  return std::make_shared<HttpPage>(
      HttpPage{status, "text/plain; charset=utf-8", std::string(status_text(status) + 4) + '\n'});
}

// IPv4 by a socket of its own kind: a host may have no IPv6.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress socket_address(const Endpoint& endpoint) {
  SocketAddress at;
  if (endpoint.addr.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port);
    std::memcpy(&v4.sin_addr, endpoint.addr.bytes.data() + kV4PrefixBits / 8, sizeof v4.sin_addr);
    std::memcpy(&at.storage, &v4, at.length = sizeof v4);
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port);
    std::memcpy(&v6.sin6_addr, endpoint.addr.bytes.data(), sizeof v6.sin6_addr);
    std::memcpy(&at.storage, &v6, at.length = sizeof v6);
  }
  return at;
}

// Both kinds have it at the same place.
uint16_t port_of(const SocketAddress& address) {
  sockaddr_in v4{};
  std::memcpy(&v4, &address.storage, sizeof v4);
  return ntohs(v4.sin_port);
}

bool is_whole(std::string_view request) {
  return request.find("\r\n\r\n") != std::string_view::npos || request.find("\n\n") != std::string_view::npos;
}

std::string_view first_word(std::string_view& rest) {
  const size_t end = std::min(rest.find(' '), rest.size());
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return word;
}

}  // namespace

struct HttpServer::Client {
  uint64_t id = 0;
  UniqueFd fd;
  WatchId watch = 0;
  uint64_t deadline_ns = 0;
  std::string request;
  std::string head;                      // of the answer
  std::shared_ptr<const HttpPage> page;  // and its body
  size_t body_bytes = 0;                 // none for HEAD
  size_t sent_bytes = 0;                 // of head and body
};

Result<std::unique_ptr<HttpServer>> HttpServer::create(EventLoop& loop, const Endpoint& endpoint) {
  SocketAddress at = socket_address(endpoint);
  UniqueFd listener(::socket(at.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!listener.is_open()) return fail_errno(errno, "Cannot listen on {}", to_string(endpoint));
  const int on = 1;
  ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(listener.get(), at.get(), at.length) != 0 || ::listen(listener.get(), kBacklog) != 0 ||
      ::getsockname(listener.get(), at.get(), &at.length) != 0) {
    return fail_errno(errno, "Cannot listen on {}", to_string(endpoint));
  }
  std::unique_ptr<HttpServer> server(new HttpServer(loop, std::move(listener), port_of(at)));
  auto watch = loop.watch_fd(server->listener_.get(), [raw = server.get()] { raw->accept_client(); });
  if (!watch) return watch.error();
  server->listener_watch_ = *watch;
  auto timer = loop.every(kLookForSlow_ns, [raw = server.get()] { raw->drop_slow_clients(); });
  if (!timer) return timer.error();
  server->timer_watch_ = *timer;
  return server;
}

HttpServer::HttpServer(EventLoop& loop, UniqueFd listener, uint16_t port)
    : loop_(loop), listener_(std::move(listener)), port_(port) {}

HttpServer::~HttpServer() {
  while (!clients_.empty()) drop(clients_.begin()->first);
  loop_.remove(listener_watch_);
  loop_.remove(timer_watch_);
}

void HttpServer::on(std::string path, Handler handler) {
  pages_[std::move(path)].make = std::move(handler);
}

void HttpServer::accept_client() {
  // One a turn: the loop calls again, and serves others in between.
  UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd.is_open()) return;
  if (clients_.size() >= kMaxHttpClients) drop(clients_.begin()->first);
  auto client = std::make_unique<Client>();
  client->id = next_client_++;
  client->fd = std::move(fd);
  client->deadline_ns = monotonic_ns() + kHttpExchangeTimeout_ns;
  const auto watch = loop_.watch_fd(client->fd.get(), [this, id = client->id] { read_request(id); });
  if (!watch) return;
  client->watch = *watch;
  clients_.emplace(client->id, std::move(client));
}

void HttpServer::read_request(uint64_t id) {
  Client& client = *clients_.at(id);
  char bytes[kReadBytes];
  const ssize_t length = ::recv(client.fd.get(), bytes, sizeof bytes, 0);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (length <= 0) return drop(id);
  client.request.append(bytes, static_cast<size_t>(length));
  if (client.request.size() > kMaxHttpRequestBytes) {
    client.page = refusal(431);
  } else if (is_whole(client.request)) {
    const std::string_view request = client.request;
    client.page = page_of(request.substr(0, request.find_first_of("\r\n")));
  } else {
    return;
  }
  answer(client);
}

std::shared_ptr<const HttpPage> HttpServer::page_of(std::string_view line) {
  const std::string_view method = first_word(line);
  const std::string_view target = first_word(line);
  if (!line.starts_with("HTTP/1.") || !target.starts_with('/')) return refusal(400);
  if (method != "GET" && method != "HEAD") return refusal(405);
  const auto found = pages_.find(target.substr(0, target.find('?')));
  if (found == pages_.end()) return refusal(404);
  Page& page = found->second;
  const uint64_t now_ns = monotonic_ns();
  if (page.made == nullptr || now_ns - page.made_ns > kHttpPageAge_ns) {
    page.made = std::make_shared<HttpPage>(page.make());
    page.made_ns = now_ns;
  }
  return page.made;
}

void HttpServer::answer(Client& client) {
  client.body_bytes = client.request.starts_with("HEAD ") ? 0 : client.page->body.size();
  client.head = fmt::format(
      "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}Cache-Control: no-store\r\n"
      "Connection: close\r\n\r\n",
      status_text(client.page->status), client.page->type, client.page->body.size(),
      client.page->status == 405 ? "Allow: GET, HEAD\r\n" : "");
  client.request = {};
  loop_.remove(client.watch);
  const auto watch = loop_.watch_writable(client.fd.get(), [this, id = client.id] { write_answer(id); });
  if (!watch) return drop(client.id);
  client.watch = *watch;
}

void HttpServer::write_answer(uint64_t id) {
  Client& client = *clients_.at(id);
  const size_t head_bytes = client.head.size();
  const bool in_head = client.sent_bytes < head_bytes;
  const std::string_view part =
      in_head ? std::string_view(client.head).substr(client.sent_bytes)
              : std::string_view(client.page->body).substr(client.sent_bytes - head_bytes, kWriteBytes);
  const bool more = in_head && client.body_bytes != 0;
  const ssize_t length = ::send(client.fd.get(), part.data(), part.size(), MSG_NOSIGNAL | (more ? MSG_MORE : 0));
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (length < 0) return drop(id);
  client.sent_bytes += static_cast<size_t>(length);
  if (client.sent_bytes == head_bytes + client.body_bytes) finish(client);
}

// A close with bytes of the client's unread would make the kernel throw away what it has not yet got of ours.
void HttpServer::finish(Client& client) {
  client.page.reset();
  ::shutdown(client.fd.get(), SHUT_WR);
  client.deadline_ns = std::min(client.deadline_ns, monotonic_ns() + kLinger_ns);
  loop_.remove(client.watch);
  const auto watch = loop_.watch_fd(client.fd.get(), [this, id = client.id] { discard(id); });
  if (!watch) return drop(client.id);
  client.watch = *watch;
}

void HttpServer::discard(uint64_t id) {
  char bytes[kReadBytes];
  const ssize_t length = ::recv(clients_.at(id)->fd.get(), bytes, sizeof bytes, 0);
  if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR)) drop(id);
}

void HttpServer::drop(uint64_t id) {
  const auto client = clients_.find(id);
  if (client == clients_.end()) return;
  loop_.remove(client->second->watch);
  clients_.erase(client);
}

void HttpServer::drop_slow_clients() {
  const uint64_t now_ns = monotonic_ns();
  std::vector<uint64_t> slow;
  for (const auto& [id, client] : clients_) {
    if (client->deadline_ns <= now_ns) slow.push_back(id);
  }
  for (const uint64_t id : slow) drop(id);
}

}  // namespace xdplb
