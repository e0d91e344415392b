#include "user/ctl/notify.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>

#include "user/base/clock.h"
#include "user/ctl/unix_address.h"

namespace xdplb {
namespace {

// Empty where it is not set. Gone from the environment then: a child of ours must not speak for us.
std::string take_variable(const char* name) {
  const char* value = std::getenv(name);
  std::string text = value == nullptr ? "" : value;
  ::unsetenv(name);
  return text;
}

uint64_t number_of(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? number : 0;
}

}  // namespace

Result<Notifier> Notifier::from_environment() {
  const std::string socket = take_variable("NOTIFY_SOCKET");
  const uint64_t watchdog_us = number_of(take_variable("WATCHDOG_USEC"));
  const std::string watchdog_pid = take_variable("WATCHDOG_PID");
  if (socket.empty()) return Notifier();
  const bool is_for_us = watchdog_pid.empty() || number_of(watchdog_pid) == static_cast<uint64_t>(::getpid());
  return create(socket, is_for_us ? watchdog_us * kNsPerUs : 0);
}

Result<Notifier> Notifier::create(const std::string& socket, uint64_t watchdog_ns) {
  if (socket.empty() || (socket[0] != '/' && socket[0] != '@')) {
    return fail("NOTIFY_SOCKET [{}] is neither a path nor @ and a name", socket);
  }
  auto address = unix_address(socket);
  if (!address) return address.error();
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket.size());
  if (socket[0] == '@') address->sun_path[0] = '\0';
  Notifier notifier;
  notifier.fd_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (::connect(notifier.fd_.get(), reinterpret_cast<const sockaddr*>(&*address), length) != 0) {
    return fail_errno(errno, "Cannot reach NOTIFY_SOCKET [{}]", socket);
  }
  notifier.watchdog_ns_ = watchdog_ns;
  return notifier;
}

void Notifier::status(std::string_view text) const {
  std::string line = fmt::format("STATUS={}", text);
  std::replace(line.begin(), line.end(), '\n', ' ');
  send(line);
}

void Notifier::reloading(uint64_t now_ns) const {
  send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now_ns / kNsPerUs));
}

void Notifier::stopping(uint64_t within_ns) const {
  send(fmt::format("STOPPING=1\nEXTEND_TIMEOUT_USEC={}", within_ns / kNsPerUs));
}

void Notifier::send(std::string_view message) const {
  if (!is_on()) return;
  [[maybe_unused]] const ssize_t sent =
      ::send(fd_.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace xdplb
