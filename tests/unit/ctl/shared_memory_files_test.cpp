// Files of the shared memory that are not as they should be.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/unit/ctl/shm_store.h"
#include "tests/unit/ctl/shm_test_dir.h"
#include "user/ctl/config_wire.h"
#include "user/ctl/shared_memory.h"

namespace xdplb {
namespace {

// Overwrites bytes of the file behind the store's back.
void poke(const ShmName& name, uint64_t offset, std::string_view bytes) {
  const UniqueFd fd(::open(name.path().c_str(), O_RDWR | O_CLOEXEC));
  REQUIRE(::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)) ==
          static_cast<ssize_t>(bytes.size()));
}

}  // namespace

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
