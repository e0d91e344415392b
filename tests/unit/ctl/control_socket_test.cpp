#include "user/ctl/control_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/unit/ctl/shm_test_dir.h"
#include "user/ctl/unix_address.h"

namespace xdplb {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

// A server with a thread that turns its loop, until the end.
class RunningServer {
 public:
  explicit RunningServer(const std::string& path, LoopBackend backend = LoopBackend::epoll) {
    auto loop = EventLoop::create(backend);
    REQUIRE(loop);
    loop_ = std::move(*loop);
    auto server = ControlServer::create(*loop_, path);
    REQUIRE(server);
    server_ = std::move(*server);
    server_->on("echo", [](const json& args) -> Result<json> { return args; });
    server_->on("refuse", [](const json&) -> Result<json> { return fail("not today"); });
    server_->on("length", [](const json& args) -> Result<json> {
      return json{{"text", std::string(args.at("bytes").get<size_t>(), 'x')}};
    });
    thread_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) static_cast<void>(loop_->run_once(10));
    });
  }
  ~RunningServer() {
    thread_.request_stop();
    thread_.join();
  }
  RunningServer(const RunningServer&) = delete;
  RunningServer& operator=(const RunningServer&) = delete;

 private:
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<ControlServer> server_;
  std::jthread thread_;
};

UniqueFd connect_raw(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = unix_address(path);
  REQUIRE(address);
  REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0);
  const timeval timeout{2, 0};
  REQUIRE(::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0);
  return fd;
}

// Sends the bytes and returns the one line that comes back; empty where the server hangs up.
std::string exchange(int fd, std::string_view bytes) {
  static_cast<void>(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL));
  std::string line;
  char c = 0;
  while (::recv(fd, &c, 1, 0) == 1 && c != '\n') line += c;
  return line;
}

std::string error_of(const Result<json>& reply) {
  return reply ? "" : reply.error().message;
}

}  // namespace

TEST_CASE("control socket: asks and answers, on both back ends") {
  for (const LoopBackend backend : {LoopBackend::epoll, LoopBackend::automatic}) {
    const ShmTestDir dir;
    const std::string path = dir.path() + "/run/test.sock";
    const RunningServer server(path, backend);
    const json args = {{"a", 1}, {"b", {1, 2}}};
    CHECK(control_request(path, "echo", args, milliseconds{2000}).value() == args);
    CHECK(error_of(control_request(path, "refuse", {}, milliseconds{2000})) == "not today");
    CHECK(error_of(control_request(path, "nosuch", {}, milliseconds{2000})) == "unknown verb \"nosuch\"");
    CHECK_FALSE(error_of(control_request(path, "length", {{"bytes", "x"}}, milliseconds{2000})).empty());
    // Far more than a socket buffer.
    const auto large = control_request(path, "length", {{"bytes", 5'000'000}}, milliseconds{5000});
    REQUIRE(large);
    CHECK((*large)["text"].get<std::string>().size() == 5'000'000);
    CHECK(error_of(control_request(path, "length", {{"bytes", 20'000'000}}, milliseconds{5000})) ==
          "the answer is too long; ask for less");
  }
}

TEST_CASE("control socket: for its owner alone, and gone with the server") {
  const ShmTestDir dir;
  const std::string path = dir.path() + "/run/test.sock";
  {
    const RunningServer server(path);
    struct stat st {};
    REQUIRE(::stat(path.c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0600);
    REQUIRE(::stat((dir.path() + "/run").c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0700);

    auto loop = EventLoop::create(LoopBackend::epoll);
    REQUIRE(loop);
    const auto second = ControlServer::create(**loop, path);
    REQUIRE_FALSE(second);
    CHECK(second.error().message == path + " is in use by another daemon");
  }
  const auto nobody = control_request(path, "echo", {}, milliseconds{100});
  REQUIRE_FALSE(nobody);
  CHECK(nobody.error().sys_errno == ENOENT);
  CHECK(nobody.error().message == "No daemon answers on " + path + ": is `xdplb lb` running?");
}

TEST_CASE("control socket: a dead daemon's socket is replaced, another file is not") {
  const ShmTestDir dir;
  const std::string path = dir.path() + "/test.sock";
  {
    const UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto address = unix_address(path);
    REQUIRE(::bind(dead.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0);
  }
  CHECK(control_request(path, "echo", {}, milliseconds{100}).error().sys_errno == ECONNREFUSED);
  { const RunningServer server(path); }
  UniqueFd(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  auto loop = EventLoop::create(LoopBackend::epoll);
  REQUIRE(loop);
  CHECK_FALSE(ControlServer::create(**loop, path));
  CHECK_FALSE(ControlServer::create(**loop, dir.path() + "/" + std::string(200, 'x')));
}

TEST_CASE("control socket: requests that are none") {
  const ShmTestDir dir;
  const std::string path = dir.path() + "/test.sock";
  const RunningServer server(path);
  const UniqueFd fd = connect_raw(path);
  for (const char* request : {"\n", "[]\n", "{}\n", "{\"verb\": 1}\n", "{\"verb\": \"echo\"\n", "\xff\xfe\n",
                              "{\"verb\": \"a\", \"verb\": \"b\"}\n"}) {
    CAPTURE(request);
    CHECK(exchange(fd.get(), request).starts_with(R"({"error":)"));
  }
  CHECK(exchange(fd.get(), std::string(100, '[') + "\n").starts_with(R"({"error":)"));
  // The same connection still works.
  CHECK(exchange(fd.get(), "{\"verb\": \"echo\", \"args\": 5}\n") == R"({"ok":true,"result":5})");
}

TEST_CASE("control socket: an endless request is refused") {
  const ShmTestDir dir;
  const std::string path = dir.path() + "/test.sock";
  const RunningServer server(path);
  const UniqueFd fd = connect_raw(path);
  CHECK(exchange(fd.get(), std::string(kMaxRequestBytes + 1, 'x')) ==
        R"({"error":"longer than 65536 bytes","ok":false})");
}

// The server notices in its own time that a client went.
bool is_served_eventually(const std::string& path) {
  for (int i = 0; i < 200; ++i) {
    if (control_request(path, "echo", 1, milliseconds{2000})) return true;
    std::this_thread::sleep_for(milliseconds{10});
  }
  return false;
}

TEST_CASE("control socket: silent and vanishing clients harm nobody") {
  const ShmTestDir dir;
  const std::string path = dir.path() + "/test.sock";
  const RunningServer server(path);
  // They ask for much and go without reading.
  for (int i = 0; i < 20; ++i) {
    const UniqueFd fd = connect_raw(path);
    const std::string_view request = "{\"verb\": \"length\", \"args\": {\"bytes\": 1000000}}\n";
    static_cast<void>(::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL));
  }
  CHECK(is_served_eventually(path));
  {
    std::vector<UniqueFd> silent;
    for (size_t i = 0; i < kMaxControlClients - 1; ++i) silent.push_back(connect_raw(path));
    CHECK(is_served_eventually(path));
    // Beyond the limit a client is turned away at once, it does not wait.
    Result<json> refused = json();
    for (int i = 0; i < 20 && refused; ++i) {
      // Several, since the places of the clients before are not free at once.
      for (int k = 0; k < 3; ++k) silent.push_back(connect_raw(path));
      refused = control_request(path, "echo", 1, milliseconds{2000});
    }
    REQUIRE_FALSE(refused);
    CHECK(refused.error().sys_errno != ETIMEDOUT);
  }
  CHECK(is_served_eventually(path));
}

TEST_CASE("control socket: a daemon that does not answer") {
  const ShmTestDir dir;
  const std::string path = dir.path() + "/test.sock";
  const UniqueFd deaf(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = unix_address(path);
  REQUIRE(::bind(deaf.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0);
  REQUIRE(::listen(deaf.get(), 1) == 0);
  const auto reply = control_request(path, "echo", {}, milliseconds{30});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().sys_errno == ETIMEDOUT);
}

}  // namespace xdplb
