// The asking side of the control socket: blocking, with one deadline for the whole exchange.
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

#include "user/base/clock.h"
#include "user/ctl/control_socket.h"
#include "user/ctl/json_reader.h"
#include "user/ctl/unix_address.h"

namespace xdplb {
namespace {

using nlohmann::json;

class Exchange {
 public:
  Exchange(std::string path, std::chrono::milliseconds timeout)
      : path_(std::move(path)), deadline_ns_(monotonic_ns() + static_cast<uint64_t>(timeout.count()) * kNsPerMs) {}

  Result<void> connect() {
    const auto address = unix_address(path_);
    if (!address) return address.error();
    fd_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd_.is_open()) return fail_errno(errno, "Cannot create a unix socket");
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0) return {};
    if (errno == ENOENT || errno == ECONNREFUSED) {
      return Error{fmt::format("No daemon answers on {}: is `xdplb lb` running?", path_), errno};
    }
    if (errno == EAGAIN) return fail("The daemon on {} has too many clients", path_);
    return fail_errno(errno, "Cannot connect to {}", path_);
  }

  Result<void> send_line(std::string_view line) {
    while (!line.empty()) {
      if (auto ok = wait_for(POLLOUT); !ok) return ok;
      const ssize_t len = ::send(fd_.get(), line.data(), line.size(), MSG_NOSIGNAL);
      if (len < 0 && errno != EAGAIN && errno != EINTR) return fail_errno(errno, "Cannot ask {}", path_);
      if (len > 0) line.remove_prefix(static_cast<size_t>(len));
    }
    return {};
  }

  Result<std::string> receive_line() {
    std::string line;
    for (;;) {
      if (auto ok = wait_for(POLLIN); !ok) return ok.error();
      char bytes[16384];
      const ssize_t len = ::recv(fd_.get(), bytes, sizeof bytes, 0);
      if (len < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (len < 0) return fail_errno(errno, "No answer from {}", path_);
      if (len == 0) return fail("{} closed the connection: the daemon stopped, or has too many clients", path_);
      line.append(bytes, static_cast<size_t>(len));
      if (line.back() == '\n') return line;
      if (line.size() > kMaxReplyBytes) return fail("The answer from {} is too long", path_);
    }
  }

 private:
  Result<void> wait_for(short events) {
    const uint64_t now_ns = monotonic_ns();
    pollfd entry{fd_.get(), events, 0};
    const uint64_t left_ms = now_ns < deadline_ns_ ? (deadline_ns_ - now_ns) / kNsPerMs + 1 : 0;
    const int ready = left_ms == 0 ? 0 : ::poll(&entry, 1, static_cast<int>(left_ms));
    if (ready == 0) return Error{fmt::format("The daemon on {} does not answer in time", path_), ETIMEDOUT};
    if (ready < 0 && errno != EINTR) return fail_errno(errno, "Cannot wait for {}", path_);
    return {};
  }

  std::string path_;
  uint64_t deadline_ns_;
  UniqueFd fd_;
};

}  // namespace

bool daemon_answers(const std::string& path) {
  return Exchange(path, std::chrono::milliseconds{0}).connect().has_value();
}

Result<json> control_request(const std::string& path, std::string_view verb, const json& args,
                             std::chrono::milliseconds timeout) {
  Exchange exchange(path, timeout);
  if (auto ok = exchange.connect(); !ok) return ok.error();
  const json request = {{"verb", std::string(verb)}, {"args", args}};
  const std::string line = request.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  if (line.size() > kMaxRequestBytes) return fail("The request is longer than {} bytes", kMaxRequestBytes);
  if (auto ok = exchange.send_line(line); !ok) return ok.error();
  const auto reply = exchange.receive_line();
  if (!reply) return reply.error();
  const auto parsed = parse_json_strictly(*reply);
  if (!parsed) return fail("{} answers in a way that this xdplb does not know: {}", path, parsed.error().message);
  if (parsed->is_object() && parsed->value("ok", json()) == json(true)) return parsed->value("result", json());
  if (parsed->is_object() && parsed->contains("error") && (*parsed)["error"].is_string()) {
    return fail("{}", (*parsed)["error"].get<std::string>());
  }
  return fail("{} answers in a way that this xdplb does not know", path);
}

}  // namespace xdplb
