#include "user/ctl/shared_memory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <thread>

#include "tests/unit/ctl/shm_test_dir.h"
#include "user/ctl/config_wire.h"

namespace xdplb {
namespace {

using Access = ConfigStore::Access;

#include "tests/unit/ctl/config_v1.inc"

// A file that the last xdplb of layout 1 left.
void make_v1_file(const ShmName& name) {
  constexpr off_t kFileBytes = 4096 + (32 << 20);
  const UniqueFd fd(::open(name.path().c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  REQUIRE(::ftruncate(fd.get(), kFileBytes) == 0);
  REQUIRE(::pwrite(fd.get(), kV1Header, sizeof kV1Header, 0) == sizeof kV1Header);
  REQUIRE(::pwrite(fd.get(), kV1Slot, sizeof kV1Slot, 4096 + (16 << 20)) == sizeof kV1Slot);
}

uint32_t layout_of(const ShmName& name) {
  uint32_t layout = 0;
  const UniqueFd fd(::open(name.path().c_str(), O_RDONLY | O_CLOEXEC));
  REQUIRE(::pread(fd.get(), &layout, sizeof layout, 8) == sizeof layout);
  return layout;
}

ConfigStore make_store(const ShmName& name, uint32_t targets = 4) {
  auto store = ConfigStore::create(name, make_default_config(997, targets));
  REQUIRE(store);
  return std::move(*store);
}

// Overwrites bytes of the file behind the store's back.
void poke(const ShmName& name, uint64_t offset, std::string_view bytes) {
  const UniqueFd fd(::open(name.path().c_str(), O_RDWR | O_CLOEXEC));
  REQUIRE(::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)) ==
          static_cast<ssize_t>(bytes.size()));
}

Result<void> activate_first(Config& config) {
  config.targets[0].state = TargetState::active;
  config.targets[0].mac = MacAddr{{2, 0, 0, 0, 0, 1}};
  return {};
}

std::string open_error(const ShmName& name) {
  const auto store = ConfigStore::open(name, Access::read);
  return store ? "" : store.error().message;
}

}  // namespace

TEST_CASE("shared memory: names that could leave the directory are refused") {
  for (const char* bad :
       {"", ".", "..", ".hidden", "a/b", "../x", "a b", "a\n", "123456789012345678901234567890123"}) {
    CAPTURE(bad);
    CHECK_FALSE(ShmName::parse(bad));
  }
  CHECK(ShmName::parse("xdplb").value().path(".stats") == "/dev/shm/xdplb.stats");
}

TEST_CASE("shared memory: a name that is the file of another one is refused") {
  for (const char* bad : {"xdplb.flows", "xdplb.stats", "a.b.flows"}) {
    CAPTURE(bad);
    CHECK_FALSE(ShmName::parse(bad));
  }
  CHECK(ShmName::parse("xdplb.flows").error().message ==
        "Invalid shared memory name [xdplb.flows]: what ends in .flows goes with the name before it");
  CHECK(ShmName::parse("flows.stats2"));
}

TEST_CASE("shared memory: what was created is read back, 0600 and sparse") {
  const ShmTestDir dir;
  const auto store = make_store(dir.name());
  struct stat st {};
  REQUIRE(::stat(dir.name().path().c_str(), &st) == 0);
  CHECK((st.st_mode & 07777) == 0600);
  CHECK(st.st_size > 32 << 20);
  CHECK(st.st_blocks * 512 < 1 << 20);

  const auto reader = ConfigStore::open(dir.name(), Access::read);
  REQUIRE(reader);
  const auto stored = reader->read();
  REQUIRE(stored);
  CHECK(stored->generation == 1);
  CHECK(stored->config.targets.size() == 4);
  CHECK(reader->generation().value() == 1);

  const auto again = ConfigStore::create(dir.name(), make_default_config(7, 1));
  REQUIRE_FALSE(again);
  CHECK(again.error().sys_errno == EEXIST);
}

TEST_CASE("shared memory: a change makes a generation, no change makes none, a refused one neither") {
  const ShmTestDir dir;
  auto store = make_store(dir.name());
  CHECK(store.update(activate_first).value() == 2);
  CHECK(store.update(activate_first).value() == 2);

  const auto refused = store.update([](Config&) -> Result<void> { return fail("no"); });
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message == "no");
  const auto invalid = store.update([](Config& config) -> Result<void> {
    config.services[0].table_size = 4;
    return {};
  });
  REQUIRE_FALSE(invalid);
  CHECK(invalid.error().message == "services[0].table_size: 4 is not prime (3 is)");
  CHECK(store.generation().value() == 2);

  for (uint64_t i = 3; i < 20; ++i) {
    REQUIRE(store
                .update([&](Config& config) -> Result<void> {
                  config.hash_seed = i;
                  return {};
                })
                .value() == i);
    CHECK(store.read().value().config.hash_seed == i);
    CHECK(store.read().value().config.targets[0].state == TargetState::active);
  }
}

TEST_CASE("shared memory: a configuration that does not fit is refused, the old one stays") {
  const ShmTestDir dir;
  auto store = make_store(dir.name());
  const auto updated = store.update([](Config& config) -> Result<void> {
    config = make_default_config(997, kMaxServiceTargets);
    config.services[0].name = "s0";
    config.services[0].is_default = false;
    for (int i = 1; i < 400; ++i) {
      config.services.push_back(config.services[0]);
      config.services.back().name = "s" + std::to_string(i);
    }
    return {};
  });
  REQUIRE_FALSE(updated);
  CHECK(updated.error().message.find("has room for") != std::string::npos);
  CHECK(store.generation().value() == 1);
  CHECK(store.read());
}

TEST_CASE("shared memory: a writer killed at any moment leaves a whole configuration in force") {
  const ShmTestDir dir;
  auto store = make_store(dir.name(), 2000);
  // All fields say the same from the start: a writer may die before its first change.
  REQUIRE(store.update([](Config& config) -> Result<void> {
    config.hash_seed = config.targets[0].weight;
    return {};
  }));
  for (int round = 0; round < 40; ++round) {
    const pid_t writer = ::fork();
    if (writer == 0) {
      auto own = ConfigStore::open(dir.name(), Access::write);
      for (uint64_t i = 0; own; ++i) {
        const auto updated = own->update([&](Config& config) -> Result<void> {
          // All fields say the same, so that a mixture would show.
          for (Target& target : config.targets) target.weight = static_cast<uint32_t>(i % kMaxWeight);
          config.hash_seed = i % kMaxWeight;
          return {};
        });
        if (!updated) break;
      }
      ::_exit(1);
    }
    ::usleep(static_cast<useconds_t>(500 + round * 137));
    ::kill(writer, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(writer, &status, 0) == writer);
    REQUIRE(WIFSIGNALED(status));

    const auto stored = store.read();
    REQUIRE(stored);
    for (const Target& target : stored->config.targets) REQUIRE(target.weight == stored->config.hash_seed);
    // The dead writer's lock is gone with it.
    REQUIRE(store.update([&](Config& config) -> Result<void> {
      config.lb_tier.own_index = static_cast<uint32_t>(round);
      return {};
    }));
  }
}

TEST_CASE("shared memory: readers beside a writer see whole configurations") {
  const ShmTestDir dir;
  auto store = make_store(dir.name(), 500);
  std::thread writer([&] {
    for (uint32_t i = 1; i <= 300; ++i) {
      const auto updated = store.update([&](Config& config) -> Result<void> {
        for (Target& target : config.targets) target.weight = i;
        config.hash_seed = i;
        return {};
      });
      if (!updated) break;
    }
  });
  const auto reader = ConfigStore::open(dir.name(), Access::read);
  uint64_t last = 0;
  bool ordered = true;
  bool whole = true;
  int failures = 0;
  while (last < 301) {
    const auto stored = reader->read();
    if (!stored) {
      ++failures;
      break;
    }
    ordered = ordered && stored->generation >= last;
    last = stored->generation;
    for (const Target& target : stored->config.targets) {
      whole = whole && (last == 1 || target.weight == stored->config.hash_seed);
    }
  }
  writer.join();
  CHECK(failures == 0);
  CHECK(ordered);
  CHECK(whole);
}

TEST_CASE("shared memory: a writer that does not finish is named") {
  const ShmTestDir dir;
  auto store = make_store(dir.name());
  const auto nested = store.update([&](Config&) -> Result<void> {
    auto other = ConfigStore::open(dir.name(), Access::write);
    REQUIRE(other);
    const auto updated = other->update(activate_first);
    REQUIRE_FALSE(updated);
    return updated.error();
  });
  REQUIRE_FALSE(nested);
  CHECK(nested.error().message ==
        fmt::format("{} is being changed by pid {}, which has not finished within 2 s; is it "
                    "stopped?",
                    dir.name().path(), ::getpid()));
}

TEST_CASE("shared memory: one daemon at a time, until it is gone") {
  const ShmTestDir dir;
  auto store = make_store(dir.name());
  CHECK_FALSE(store.daemon_running());
  {
    const auto lock = store.acquire_daemon_lock();
    REQUIRE(lock);
    CHECK(store.daemon_running() == ::getpid());
    CHECK(ConfigStore::open(dir.name(), Access::read).value().daemon_running() == ::getpid());
    const auto second = store.acquire_daemon_lock();
    REQUIRE_FALSE(second);
    CHECK(second.error().message.find(fmt::format("(pid {})", ::getpid())) != std::string::npos);
    // Changing the configuration is another lock.
    CHECK(store.update(activate_first));
  }
  CHECK_FALSE(store.daemon_running());
}

TEST_CASE("shared memory: removed or replaced while open") {
  const ShmTestDir dir;
  auto store = make_store(dir.name());
  CHECK(store.is_current());
  CHECK(ConfigStore::remove(dir.name()).value());
  CHECK_FALSE(ConfigStore::remove(dir.name()).value());
  CHECK_FALSE(store.is_current());
  CHECK_FALSE(store.update(activate_first));
  const auto fresh = make_store(dir.name());
  CHECK_FALSE(store.is_current());
  CHECK(store.read());  // the daemon's copy of what it follows stays readable
  CHECK(open_error(dir.name()).empty());
}

TEST_CASE("shared memory: a file of layout 1 is read, and changed in its own layout, until a daemon starts") {
  const ShmTestDir dir;
  make_v1_file(dir.name());
  auto store = ConfigStore::open(dir.name(), Access::write);
  REQUIRE(store);
  const auto before = store->read();
  REQUIRE(before);
  CHECK(before->generation == 1);
  CHECK(before->config.services[1].name == "web");
  CHECK(before->config.targets[1].state == TargetState::draining);

  REQUIRE(store->update(activate_first).value() == 2);
  CHECK(layout_of(dir.name()) == 1);
  CHECK(store->read()->config.targets[0].state == TargetState::active);
  // The origin is forgotten, marks are refused.
  CHECK(store
            ->update([](Config& config) -> Result<void> {
              config.origin.file = "/etc/lb.json";
              return {};
            })
            .value() == 2);
  const auto refused = store->update([](Config& config) -> Result<void> {
    config.targets[0].by_hand = ByHand{};
    return {};
  });
  REQUIRE_FALSE(refused);
  CHECK(
      refused.error().message ==
      "the mark by hand of target \"0\" has no room in layout 1 of the shared memory, that of the daemon that runs: "
      "restart the daemon (no flow is lost), then try again");

  const Config in_force = store->read()->config;
  auto elsewhere = ConfigStore::open(dir.name(), Access::write);
  REQUIRE(elsewhere);
  REQUIRE(elsewhere->upgrade_layout());
  CHECK(layout_of(dir.name()) == kConfigLayoutVersion);
  CHECK(store->read()->generation == 3);
  CHECK(store->read()->config == in_force);
  REQUIRE(elsewhere->upgrade_layout());
  CHECK(store->generation().value() == 3);
  CHECK(store->update([](Config& config) -> Result<void> {
    config.targets[0].by_hand = ByHand{};
    return {};
  }));
}

TEST_CASE("shared memory: files that are not ours, or not whole, are errors with a way out") {
  const ShmTestDir dir;
  const ShmName name = dir.name();
  CHECK(open_error(name) == "There is no shared memory " + name.path() + ": run `xdplb init --shm=test` first");
  CHECK(open_error(dir.name("xdplb")).ends_with(": run `xdplb init` first"));

  SECTION("a symbolic link") {
    REQUIRE(::symlink("/etc/passwd", name.path().c_str()) == 0);
    CHECK(open_error(name) == name.path() + " is a symbolic link: refused");
  }
  SECTION("a directory") {
    REQUIRE(::mkdir(name.path().c_str(), 0700) == 0);
    CHECK(open_error(name) == name.path() + " is not a regular file: refused");
  }
  SECTION("a FIFO does not hold us up") {
    REQUIRE(::mkfifo(name.path().c_str(), 0600) == 0);
    CHECK(open_error(name) == name.path() + " is not a regular file: refused");
  }
  SECTION("writable by others") {
    make_store(name);
    REQUIRE(::chmod(name.path().c_str(), 0622) == 0);
    CHECK(open_error(name).find("has mode 0622") != std::string::npos);
  }
  SECTION("empty") {
    UniqueFd(::open(name.path().c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    CHECK(open_error(name).find("is cut short") != std::string::npos);
    CHECK(open_error(name).find("xdplb clean --force --shm=test") != std::string::npos);
  }
  SECTION("something else") {
    make_store(name);
    poke(name, 0, "#!/bin/sh");
    CHECK(open_error(name).find("is not a configuration of xdplb") != std::string::npos);
  }
  SECTION("another layout") {
    make_store(name);
    poke(name, 8, "\x63");
    CHECK(open_error(name).find("has layout 99, this xdplb knows layouts 1 to 2") != std::string::npos);
  }
  SECTION("cut short") {
    make_store(name);
    REQUIRE(::truncate(name.path().c_str(), 5000) == 0);
    CHECK(open_error(name).find("has 5000 bytes") != std::string::npos);
  }
  SECTION("cut short while in use: an error, no signal") {
    const auto store = make_store(name);
    REQUIRE(::truncate(name.path().c_str(), 0) == 0);
    CHECK_FALSE(store.generation());
    CHECK_FALSE(store.read());
  }
  SECTION("no valid generation") {
    const auto store = make_store(name);
    poke(name, 64, std::string(16, '\0'));
    REQUIRE_FALSE(store.read());
    CHECK(store.read().error().message.find("does not say which generation") != std::string::npos);
  }
}

TEST_CASE("shared memory: a flipped byte anywhere in the slot is found") {
  const ShmTestDir dir;
  const auto store = make_store(dir.name());
  constexpr uint64_t kSlot1 = 4096 + (16 << 20);
  const UniqueFd fd(::open(dir.name().path().c_str(), O_RDWR | O_CLOEXEC));
  uint64_t body_bytes = 0;
  REQUIRE(::pread(fd.get(), &body_bytes, sizeof body_bytes, kSlot1 + 8) == sizeof body_bytes);
  REQUIRE(body_bytes > 100);
  for (uint64_t i = 0; i < 24 + body_bytes; ++i) {
    const auto offset = static_cast<off_t>(kSlot1 + (i < 24 ? i : i + 40));
    uint8_t byte = 0;
    REQUIRE(::pread(fd.get(), &byte, 1, offset) == 1);
    const uint8_t flipped = byte ^ 0x41;
    REQUIRE(::pwrite(fd.get(), &flipped, 1, offset) == 1);
    CAPTURE(i);
    REQUIRE_FALSE(store.read());
    REQUIRE(::pwrite(fd.get(), &byte, 1, offset) == 1);
  }
  CHECK(store.read());
}

}  // namespace xdplb
