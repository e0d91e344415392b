// The control socket, /run/xdplb/NAME.sock: questions that need the running daemon (`where`, `flows`, `ready`).
//
// For root only (directory 0700, socket 0600). One JSON object a line each way:
//   -> {"verb": "ready", "args": {...}}
//   <- {"ok": true, "result": {...}}   or   {"ok": false, "error": "..."}
// Served from the control thread's EventLoop; handlers run there and must be short. Clients are few, their requests
// bounded, slow ones are cut off: no client can hold up the daemon or make it grow.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "user/base/result.h"
#include "user/ctl/stream_server.h"

namespace xdplb {

inline constexpr size_t kMaxRequestBytes = 64u << 10;
inline constexpr size_t kMaxReplyBytes = 16u << 20;
inline constexpr size_t kMaxControlClients = 16;

// "/run/xdplb/NAME.sock"
std::string control_socket_path(std::string_view shm_name);

class ControlServer {
 public:
  using Handler = std::function<Result<nlohmann::json>(const nlohmann::json& args)>;

  // Replaces a socket that nobody listens on any more; one that somebody listens on is an error with sys_errno
  // EADDRINUSE. `loop` must outlive the object. The destructor removes the socket.
  static Result<std::unique_ptr<ControlServer>> create(EventLoop& loop, const std::string& path);
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  void on(std::string verb, Handler handler);

 private:
  explicit ControlServer(std::string path) : path_(std::move(path)) {}
  [[nodiscard]] std::optional<StreamAnswer> answer_to(std::string_view received) const;
  [[nodiscard]] std::string answer(std::string_view request) const;

  std::string path_;
  std::map<std::string, Handler, std::less<>> handlers_;
  std::unique_ptr<StreamServer> clients_;
};

// Whether one listens there.
bool daemon_answers(const std::string& path);

// Asks the daemon and waits for its answer. The error is the daemon's, or says that none runs (sys_errno ENOENT or
// ECONNREFUSED).
Result<nlohmann::json> control_request(const std::string& path, std::string_view verb, const nlohmann::json& args,
                                       std::chrono::milliseconds timeout);

}  // namespace xdplb
