// The shared memory of an older xdplb.
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

}  // namespace

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

}  // namespace xdplb
