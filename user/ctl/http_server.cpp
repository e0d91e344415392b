#include "user/ctl/http_server.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "user/base/clock.h"

namespace xdplb {
namespace {

constexpr int kBacklog = 64;

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

std::string head_of(const HttpPage& page) {
  return fmt::format(
      "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}Cache-Control: no-store\r\n"
      "Connection: close\r\n\r\n",
      status_text(page.status), page.type, page.body.size(), page.status == 405 ? "Allow: GET, HEAD\r\n" : "");
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
  std::unique_ptr<HttpServer> server(new HttpServer(port_of(at)));
  auto clients = StreamServer::create(
      loop, std::move(listener),
      {.clients_max = kMaxHttpClients,
       .oldest_gives_way = true,
       .one_request = true,
       .is_allowed = [](int) { return true; },
       .answer = [raw = server.get()](std::string_view received) { return raw->answer_to(received); }});
  if (!clients) return clients.error();
  server->clients_ = std::move(*clients);
  return server;
}

void HttpServer::on(std::string path, Handler handler) {
  pages_[std::move(path)].make = std::move(handler);
}

std::optional<StreamAnswer> HttpServer::answer_to(std::string_view received) {
  const bool is_too_long = received.size() > kMaxHttpRequestBytes;
  if (!is_too_long && !is_whole(received)) return std::nullopt;
  const auto page = is_too_long ? refusal(431) : page_of(received.substr(0, received.find_first_of("\r\n")));
  StreamAnswer answer{head_of(*page)};
  if (!received.starts_with("HEAD ")) answer.body = {page, &page->body};
  return answer;
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

}  // namespace xdplb
