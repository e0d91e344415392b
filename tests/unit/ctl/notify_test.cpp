#include "user/ctl/notify.h"

#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "tests/unit/ctl/shm_test_dir.h"
#include "user/ctl/unix_address.h"

namespace xdplb {
namespace {

// What systemd is: a datagram socket.
class Manager {
 public:
  explicit Manager(const std::string& name) {
    auto address = unix_address(name);
    REQUIRE(address);
    if (name[0] == '@') address->sun_path[0] = '\0';
    fd_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0));
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    REQUIRE(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&*address), length) == 0);
  }
  std::string next() {
    char bytes[512];
    const ssize_t length = ::recv(fd_.get(), bytes, sizeof bytes, 0);
    return length < 0 ? "nothing" : std::string(bytes, static_cast<size_t>(length));
  }

 private:
  UniqueFd fd_;
};

std::string unused_name(const char* kind) {
  return fmt::format("{}/tmp/xdplb-notify-{}", kind, ::getpid());
}

}  // namespace

TEST_CASE("the manager hears what sd_notify(3) says, at a path and at an abstract name") {
  const std::string name = unused_name(GENERATE("", "@"));
  Manager manager(name);
  const auto notifier = Notifier::create(name, 5);
  REQUIRE(notifier);
  CHECK(notifier->watchdog_ns() == 5);
  notifier->ready();
  CHECK(manager.next() == "READY=1");
  notifier->status("not ready: a\nb");
  CHECK(manager.next() == "STATUS=not ready: a b");
  notifier->reloading(1'234'567'899);
  CHECK(manager.next() == "RELOADING=1\nMONOTONIC_USEC=1234567");
  notifier->stopping(40'000'000'000);
  CHECK(manager.next() == "STOPPING=1\nEXTEND_TIMEOUT_USEC=40000000");
  notifier->watchdog();
  CHECK(manager.next() == "WATCHDOG=1");
  ::unlink(name.c_str());
}

TEST_CASE("a manager that is not there, stops reading or was never named is no obstacle") {
  Notifier().ready();
  CHECK_FALSE(Notifier().is_on());
  CHECK(Notifier::create("/nowhere/socket", 0).error().message ==
        "Cannot reach NOTIFY_SOCKET [/nowhere/socket]: No such file or directory");
  CHECK(Notifier::create("vsock:2:1", 0).error().message ==
        "NOTIFY_SOCKET [vsock:2:1] is neither a path nor @ and a name");
  CHECK_FALSE(Notifier::create(std::string(200, '/'), 0));
  const std::string name = unused_name("@full");
  auto manager = std::make_unique<Manager>(name);
  const auto notifier = Notifier::create(name, 0);
  REQUIRE(notifier);
  for (int i = 0; i < 10'000; ++i) notifier->watchdog();  // never blocks
  manager.reset();
  notifier->ready();
}

TEST_CASE("the environment says where, is ours alone, and is gone then") {
  const std::string name = unused_name("@env");
  const Manager manager(name);
  const auto pid = GENERATE_COPY(as<std::string>(), "", fmt::to_string(::getpid()), "1");
  ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  ::setenv("WATCHDOG_USEC", "2000000", 1);
  if (!pid.empty()) ::setenv("WATCHDOG_PID", pid.c_str(), 1);
  const auto notifier = Notifier::from_environment();
  REQUIRE(notifier);
  CHECK(notifier->is_on());
  CHECK(notifier->watchdog_ns() == (pid == "1" ? 0 : 2'000'000'000));
  CHECK(std::getenv("NOTIFY_SOCKET") == nullptr);
  CHECK(std::getenv("WATCHDOG_USEC") == nullptr);
  CHECK(std::getenv("WATCHDOG_PID") == nullptr);
  CHECK_FALSE(Notifier::from_environment()->is_on());
}

}  // namespace xdplb
