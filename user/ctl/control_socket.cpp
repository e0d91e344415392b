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

// For a request and its answer, from the first byte to the last.
constexpr uint64_t kExchangeTimeout_ns = 10 * kNsPerSec;
constexpr uint64_t kStaleWaitNs = kNsPerSec;
constexpr size_t kReadBytes = 4096;
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

bool is_allowed(int fd) {
  ucred peer{};
  socklen_t len = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0) return false;
  return peer.uid == 0 || peer.uid == ::geteuid();
}

std::string refusal(const std::string& text) {
  return json{{"ok", false}, {"error", text}}.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace

struct ControlServer::Client {
  uint64_t id = 0;
  UniqueFd fd;
  WatchId watch = 0;
  uint64_t deadline_ns = 0;
  std::string request;  // what has come of it
  std::string reply;    // to be sent
  size_t sent_bytes = 0;
};

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

  std::unique_ptr<ControlServer> server(new ControlServer(loop, path, std::move(listener)));
  auto watch = loop.watch_fd(server->listener_.get(), [raw = server.get()] { raw->accept_clients(); });
  if (!watch) return watch.error();
  server->listener_watch_ = *watch;
  auto timer = loop.every(kNsPerSec, [raw = server.get()] { raw->drop_slow_clients(); });
  if (!timer) return timer.error();
  server->timer_watch_ = *timer;
  return server;
}

ControlServer::ControlServer(EventLoop& loop, std::string path, UniqueFd listener)
    : loop_(loop), path_(std::move(path)), listener_(std::move(listener)) {}

ControlServer::~ControlServer() {
  while (!clients_.empty()) drop(clients_.begin()->first);
  loop_.remove(listener_watch_);
  loop_.remove(timer_watch_);
  ::unlink(path_.c_str());
}

void ControlServer::on(std::string verb, Handler handler) {
  handlers_[std::move(verb)] = std::move(handler);
}

void ControlServer::accept_clients() {
  // One a turn: the loop calls again, and serves others in between.
  UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd.is_open() || clients_.size() >= kMaxControlClients || !is_allowed(fd.get())) return;
  const uint64_t id = next_client_++;
  auto client = std::make_unique<Client>();
  client->id = id;
  client->fd = std::move(fd);
  Client& added = *clients_.emplace(id, std::move(client)).first->second;
  start_reading(added);
}

void ControlServer::start_reading(Client& client) {
  loop_.remove(client.watch);
  client.deadline_ns = monotonic_ns() + kExchangeTimeout_ns;
  client.request.clear();
  const auto watch = loop_.watch_fd(client.fd.get(), [this, id = client.id] { read_request(id); });
  if (!watch) return drop(client.id);
  client.watch = *watch;
}

void ControlServer::start_writing(Client& client) {
  loop_.remove(client.watch);
  client.sent_bytes = 0;
  const auto watch = loop_.watch_writable(client.fd.get(), [this, id = client.id] { write_reply(id); });
  if (!watch) return drop(client.id);
  client.watch = *watch;
}

void ControlServer::read_request(uint64_t id) {
  Client& client = *clients_.at(id);
  char bytes[kReadBytes];
  const ssize_t len = ::recv(client.fd.get(), bytes, sizeof bytes, 0);
  if (len < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (len <= 0) return drop(id);
  client.request.append(bytes, static_cast<size_t>(len));
  const size_t line_end = client.request.find('\n');
  if (line_end == std::string::npos && client.request.size() <= kMaxRequestBytes) return;
  // What follows the first line is thrown away: a client waits for its answer before it asks again.
  client.reply = line_end <= kMaxRequestBytes ? answer(std::string_view(client.request).substr(0, line_end))
                                              : refusal(fmt::format("longer than {} bytes", kMaxRequestBytes));
  start_writing(client);
}

void ControlServer::write_reply(uint64_t id) {
  Client& client = *clients_.at(id);
  const std::string_view rest = std::string_view(client.reply).substr(client.sent_bytes);
  const ssize_t len = ::send(client.fd.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
  if (len < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (len < 0) return drop(id);
  client.sent_bytes += static_cast<size_t>(len);
  if (client.sent_bytes == client.reply.size()) {
    client.reply = {};
    start_reading(client);
  }
}

void ControlServer::drop(uint64_t id) {
  const auto client = clients_.find(id);
  if (client == clients_.end()) return;
  loop_.remove(client->second->watch);
  clients_.erase(client);
}

void ControlServer::drop_slow_clients() {
  const uint64_t now_ns = monotonic_ns();
  std::vector<uint64_t> slow;
  for (const auto& [id, client] : clients_) {
    if (client->deadline_ns <= now_ns) slow.push_back(id);
  }
  for (const uint64_t id : slow) drop(id);
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
