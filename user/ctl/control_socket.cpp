#include "user/ctl/control_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>

#include "user/base/clock.h"
#include "user/ctl/json_reader.h"
#include "user/ctl/unix_address.h"

namespace xdplb {
namespace {

using nlohmann::json;

constexpr uint64_t kStaleWaitNs = kNsPerSec;
constexpr int kBacklog = 16;

// For us alone. One that is there already must be ours: in someone else's, the socket could be swapped.
Result<void> prepare_directory(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail_errno(errno, "Cannot create {}", directory);
  }
  struct stat st {};
  if (::lstat(directory.c_str(), &st) != 0) return fail_errno(errno, "Cannot stat {}", directory);
  if (!S_ISDIR(st.st_mode) || (st.st_uid != ::geteuid() && st.st_uid != 0)) {
    return fail("{} is not a directory of ours: refused", directory);
  }
  if ((st.st_mode & 0077) != 0 && ::chmod(directory.c_str(), 0700) != 0) {
    return fail_errno(errno, "Cannot set the mode of {}", directory);
  }
  return {};
}

bool is_listened_on(const sockaddr_un& address) {
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN;
}

// What a daemon that was killed left behind. A socket that somebody answers on is not that.
Result<void> remove_stale_socket(const std::string& path, const sockaddr_un& address) {
  struct stat st {};
  if (::lstat(path.c_str(), &st) != 0) return {};
  if (!S_ISSOCK(st.st_mode)) return fail("{} is there and is not a socket: refused", path);
  // The kernel closes what an io_uring of the dead still watched some time after their end; until then it listens.
  const uint64_t deadline_ns = monotonic_ns() + kStaleWaitNs;
  bool listens = is_listened_on(address);
  while (listens && monotonic_ns() < deadline_ns) {
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
    listens = is_listened_on(address);
  }
  if (listens) {
    return Error{fmt::format("{} is in use by another daemon", path), EADDRINUSE};
  }
  if (::unlink(path.c_str()) != 0) return fail_errno(errno, "Cannot remove {}", path);
  return {};
}

bool is_ours(int fd) {
  ucred peer{};
  socklen_t len = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0) return false;
  return peer.uid == 0 || peer.uid == ::geteuid();
}

std::string refusal(const std::string& text) {
  return json{{"ok", false}, {"error", text}}.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string control_socket_path(std::string_view shm_name) {
  return fmt::format("/run/xdplb/{}.sock", shm_name);
}

Result<std::unique_ptr<ControlServer>> ControlServer::create(EventLoop& loop, const std::string& path) {
  const auto address = unix_address(path);
  if (!address) return address.error();
  if (auto ok = prepare_directory(std::filesystem::path(path).parent_path()); !ok) return ok.error();
  if (auto ok = remove_stale_socket(path, *address); !ok) return ok.error();

  UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!listener.is_open()) return fail_errno(errno, "Cannot create a unix socket");
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
    return fail_errno(errno, "Cannot bind {}", path);
  }
  // The directory keeps others out in the moment before this.
  if (::chmod(path.c_str(), 0600) != 0) return fail_errno(errno, "Cannot set the mode of {}", path);
  if (::listen(listener.get(), kBacklog) != 0) return fail_errno(errno, "Cannot listen on {}", path);

  std::unique_ptr<ControlServer> server(new ControlServer(path));
  auto clients = StreamServer::create(
      loop, std::move(listener),
      {.clients_max = kMaxControlClients,
       .oldest_gives_way = false,
       .one_request = false,
       .is_allowed = is_ours,
       .answer = [raw = server.get()](std::string_view received) { return raw->answer_to(received); }});
  if (!clients) return clients.error();
  server->clients_ = std::move(*clients);
  return server;
}

ControlServer::~ControlServer() {
  ::unlink(path_.c_str());
}

void ControlServer::on(std::string verb, Handler handler) {
  handlers_[std::move(verb)] = std::move(handler);
}

std::optional<StreamAnswer> ControlServer::answer_to(std::string_view received) const {
  const size_t line_end = received.find('\n');
  if (line_end == std::string::npos && received.size() <= kMaxRequestBytes) return std::nullopt;
  if (line_end > kMaxRequestBytes)
    return StreamAnswer{refusal(fmt::format("longer than {} bytes", kMaxRequestBytes))};
  // What follows the first line is thrown away: a client waits for its answer before it asks again.
  return StreamAnswer{answer(received.substr(0, line_end))};
}

std::string ControlServer::answer(std::string_view request) const {
  const auto parsed = parse_json_strictly(request);
  if (!parsed) return refusal(parsed.error().message);
  if (!parsed->is_object() || !parsed->contains("verb") || !(*parsed)["verb"].is_string()) {
    return refusal("a request is an object with a \"verb\"");
  }
  const std::string verb = (*parsed)["verb"].get<std::string>();
  const auto handler = handlers_.find(verb);
  if (handler == handlers_.end()) return refusal(fmt::format("unknown verb \"{}\"", verb));
  try {
    const auto result = handler->second(parsed->value("args", json::object()));
    if (!result) return refusal(result.error().message);
    std::string line = json{{"ok", true}, {"result", *result}}.dump(-1, ' ', false, json::error_handler_t::replace);
    if (line.size() >= kMaxReplyBytes) return refusal("the answer is too long; ask for less");
    return line + "\n";
  } catch (const json::exception& error) {
    // An argument of the wrong type.
    return refusal(error.what());
  }
}

}  // namespace xdplb
