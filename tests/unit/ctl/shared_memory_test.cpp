#include "user/ctl/shared_memory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <thread>

#include "tests/unit/ctl/shm_store.h"
#include "tests/unit/ctl/shm_test_dir.h"
#include "user/ctl/config_wire.h"

namespace xdplb {
namespace {

using Access = ConfigStore::Access;

}  // namespace

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

}  // namespace xdplb
