// Notifier: what systemd, or whoever else started the daemon with NOTIFY_SOCKET, is told (sd_notify(3)): one datagram
// a message. Without NOTIFY_SOCKET it says nothing.
//
// Our own and not libsystemd's, since the protocol is these few lines and the library would be the largest that the
// daemon is linked with. Any one thread; never blocks, and a message that nobody takes is lost.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "user/base/result.h"
#include "user/base/unique_fd.h"

namespace xdplb {

class Notifier {
 public:
  // Takes NOTIFY_SOCKET (a path, or "@" and an abstract name), WATCHDOG_USEC and WATCHDOG_PID out of the environment.
  static Result<Notifier> from_environment();

  Notifier() = default;  // says nothing
  // `watchdog_ns`: how long it may be silent; 0: no watchdog.
  static Result<Notifier> create(const std::string& socket, uint64_t watchdog_ns);

  [[nodiscard]] bool is_on() const { return fd_.is_open(); }
  [[nodiscard]] uint64_t watchdog_ns() const { return watchdog_ns_; }

  void ready() const { send("READY=1"); }
  void status(std::string_view text) const;  // one line, for `systemctl status`
  void watchdog() const { send("WATCHDOG=1"); }
  void reloading(uint64_t now_ns) const;  // until ready()
  // From here on the end is wanted; it takes at most so long.
  void stopping(uint64_t within_ns) const;

 private:
  void send(std::string_view message) const;

  UniqueFd fd_;  // connected
  uint64_t watchdog_ns_ = 0;
};

}  // namespace xdplb
