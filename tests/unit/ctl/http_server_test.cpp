#include "user/ctl/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <thread>
#include <vector>

#include "user/base/clock.h"

namespace xdplb {
namespace {

const Endpoint kLoopback{*parse_ip("127.0.0.1"), 0};

// A server with a thread that turns its loop, until the end.
class RunningServer {
 public:
  RunningServer() {
    auto loop = EventLoop::create(LoopBackend::epoll);
    REQUIRE(loop);
    loop_ = std::move(*loop);
    auto server = HttpServer::create(*loop_, kLoopback);
    REQUIRE(server);
    server_ = std::move(*server);
    server_->on("/made", [this] { return HttpPage{200, "text/plain", fmt::format("{}", ++made_)}; });
    server_->on("/no", [] { return HttpPage{503, "text/plain", "no"}; });
    server_->on("/large", [] { return HttpPage{200, "text/plain", std::string(8u << 20, 'x')}; });
    thread_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) static_cast<void>(loop_->run_once(10));
    });
  }
  [[nodiscard]] uint16_t port() const { return server_->port(); }

 private:
  int made_ = 0;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<HttpServer> server_;
  std::jthread thread_;
};

class Client {
 public:
  explicit Client(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
  }
  void send(std::string_view text) { static_cast<void>(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL)); }
  // Everything up to the end, which has to come.
  std::string rest() {
    std::string all;
    char bytes[65536];
    for (;;) {
      pollfd entry{fd_.get(), POLLIN, 0};
      REQUIRE(::poll(&entry, 1, 20'000) == 1);
      const ssize_t length = ::recv(fd_.get(), bytes, sizeof bytes, 0);
      if (length <= 0) return all;
      all.append(bytes, static_cast<size_t>(length));
    }
  }

 private:
  UniqueFd fd_;
};

std::string converse(const RunningServer& server, std::string_view request) {
  Client client(server.port());
  client.send(request);
  return client.rest();
}

std::string get(const RunningServer& server, const std::string& path) {
  return converse(server, "GET " + path + " HTTP/1.1\r\nHost: here\r\n\r\n");
}

}  // namespace

TEST_CASE("http: a page, its head, and what else may be asked for") {
  const RunningServer server;
  const std::string page = get(server, "/made?query=none");
  CHECK(page ==
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1\r\nCache-Control: no-store\r\n"
        "Connection: close\r\n\r\n1");
  CHECK(converse(server, "HEAD /no HTTP/1.1\r\n\r\n").ends_with("\r\n\r\n"));
  CHECK(get(server, "/no").starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
  CHECK(get(server, "/nowhere").starts_with("HTTP/1.1 404 Not Found\r\n"));
  CHECK(converse(server, "GET /no HTTP/1.0\n\n").ends_with("\r\n\r\nno"));
}

TEST_CASE("http: whatever else comes is refused") {
  const RunningServer server;
  const std::string post = converse(server, "POST /made HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello");
  CHECK(post.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"));
  CHECK(post.find("\r\nAllow: GET, HEAD\r\n") != std::string::npos);
  for (const char* request : {"\r\n\r\n", "GET\r\n\r\n", "GET /made\r\n\r\n", "GET made HTTP/1.1\r\n\r\n",
                              "GET /made HTTP/2\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n"}) {
    CAPTURE(request);
    CHECK(converse(server, request).starts_with("HTTP/1.1 400 Bad Request\r\n"));
  }
  CHECK(converse(server, "GET /made HTTP/1.1\r\nX: " + std::string(100'000, 'y'))
            .starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"));
}

TEST_CASE("http: a request comes byte by byte, a page of megabytes goes as the client reads") {
  const RunningServer server;
  Client slow(server.port());
  for (const char c : std::string_view("GET /made HTTP/1.1\r\n\r\n")) slow.send({&c, 1});
  CHECK(slow.rest().ends_with("\r\n\r\n1"));
  CHECK(get(server, "/large").size() > 8u << 20);
}

TEST_CASE("http: a page that was just made is used again, however many ask") {
  const RunningServer server;
  const uint64_t begin_ns = monotonic_ns();
  std::string last;
  for (int i = 0; i < 200; ++i) last = get(server, "/made");
  const uint64_t made_max = (monotonic_ns() - begin_ns) / kHttpPageAge_ns + 1;
  CHECK(std::stoul(last.substr(last.rfind('\n') + 1)) <= made_max);
}

TEST_CASE("http: many who ask nothing keep nobody out, and the oldest of them go") {
  const RunningServer server;
  std::vector<Client> idle;
  for (size_t i = 0; i < 3 * kMaxHttpClients; ++i) {
    idle.emplace_back(server.port());
    idle.back().send("GET /ma");
  }
  CHECK(get(server, "/made").starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(idle.front().rest().empty());
  idle.back().send("de HTTP/1.1\r\n\r\n");
  CHECK(idle.back().rest().starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_CASE("http: an address that cannot be had is named with the cause") {
  auto loop = EventLoop::create(LoopBackend::epoll);
  REQUIRE(loop);
  CHECK(HttpServer::create(**loop, {*parse_ip("192.0.2.1"), 9100}).error().message ==
        "Cannot listen on 192.0.2.1:9100: Cannot assign requested address");
  const auto first = HttpServer::create(**loop, kLoopback);
  REQUIRE(first);
  const Endpoint taken{kLoopback.addr, (*first)->port()};
  CHECK(HttpServer::create(**loop, taken).error().message ==
        fmt::format("Cannot listen on {}: Address already in use", to_string(taken)));
  CHECK(HttpServer::create(**loop, {*parse_ip("2001:db8::1"), 9100})
            .error()
            .message.starts_with("Cannot listen on [2001:db8::1]:9100: "));
}

}  // namespace xdplb
