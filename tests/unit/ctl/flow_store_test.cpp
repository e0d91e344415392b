// The flow tables as a file: what of /dev/shm it takes, and what the next daemon makes of it.
#include "user/ctl/flow_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include <catch2/catch.hpp>

#include "tests/support/flow_fixture.h"
#include "tests/unit/ctl/shm_test_dir.h"
#include "user/net/parse.h"

namespace xdplb {
namespace {

constexpr uint64_t kNow = 1000 * kSecond;
constexpr size_t kTables = 2;

Config three_targets() {
  Config config = make_default_config(997, 3);
  for (Target& target : config.targets) target.epoch = 9;
  return config;
}

// One life of a daemon: as many sweeps as go round, an hour that passes for nobody but them.
std::unique_ptr<FlowStore> start(const ShmTestDir& dir, uint32_t flows, const Config& config = three_targets()) {
  auto store = FlowStore::open(dir.name(), flows, config, kNow);
  REQUIRE(store);
  REQUIRE((*store)->grow_to(kTables));
  (*store)->name_services(config);
  REQUIRE((*store)->keep());
  return std::move(*store);
}

uint64_t bytes_taken(const ShmTestDir& dir) {
  struct stat st {};
  REQUIRE(::stat(dir.name().path(".flows").c_str(), &st) == 0);
  return static_cast<uint64_t>(st.st_blocks) * 512;
}

size_t files_in(const ShmTestDir& dir) {
  using Iterator = std::filesystem::directory_iterator;
  return static_cast<size_t>(std::distance(Iterator(dir.path()), Iterator()));
}

void enter(FlowTable& table, uint32_t first, uint32_t count) {
  const FlowPolicy policy = test_policy(1 << 20, 1 << 20);
  for (uint32_t n = first; n < first + count; ++n) {
    const FlowOwner owner{{static_cast<uint16_t>(n % 3), 9}, 0};
    REQUIRE(table.enter(table.hash(flow_key(n)), flow_key(n), kTcpSyn, owner, policy, kNow).outcome ==
            FlowOutcome::entered);
  }
}

}  // namespace

TEST_CASE("flow store: all pages are taken once, however often a daemon starts and sweeps", "[flow]") {
  const ShmTestDir dir;
  for (int life = 0; life < 3; ++life) {
    const auto store = start(dir, 65536);
    for (size_t i = 0; i < kTables; ++i) store->table(i).sweep(~0u, kNow + 3600 * kSecond);
    CHECK(store->readers()[0].counter(FlowCounter::live) == 0);
    CHECK(bytes_taken(dir) == kTables * flow_geometry(65536).region_bytes);
  }
}

TEST_CASE("flow store: a few flows in large tables are found again, and expire", "[flow]") {
  const ShmTestDir dir;
  { enter(start(dir, kDefaultFlows)->table(1), 0, 100); }
  const auto store = start(dir, kDefaultFlows);
  CHECK(store->report() ==
        "100 flows of an earlier daemon kept, 0 of targets or services that are no more, 0 damaged");
  store->table(1).sweep(~0u, kNow);
  CHECK(store->readers()[1].counter(FlowCounter::live) == 100);
  store->table(1).sweep(~0u, kNow + 3600 * kSecond);
  CHECK(store->readers()[1].counter(FlowCounter::live) == 0);
}

TEST_CASE("flow store: with another size the flows move", "[flow]") {
  const ShmTestDir dir;
  {
    const auto store = start(dir, 4096);
    enter(store->table(0), 0, 300);
    enter(store->table(1), 300, 300);
  }
  Config config = three_targets();
  config.targets[2].epoch = 10;  // another one of that id
  {
    const auto store = start(dir, 65536, config);
    CHECK(store->report() ==
          "400 flows of an earlier daemon kept, 200 of targets or services that are no more, 0 damaged; moved from "
          "tables for 4096 flows, 0 found no room");
    for (uint32_t n = 0; n < 600; ++n) {
      const FlowTable& table = store->table(n / 300);
      const FlowHit hit = table.find(table.hash(flow_key(n)), kNow);
      REQUIRE(static_cast<bool>(hit) == (n % 3 != 2));
      if (hit) CHECK(hit.target() == FlowTarget{static_cast<uint16_t>(n % 3), 9});
    }
  }
  const auto store = start(dir, kMinFlows, config);
  const uint64_t kept =
      store->readers()[0].counter(FlowCounter::live) + store->readers()[1].counter(FlowCounter::live);
  CHECK(store->report() ==
        fmt::format("{} flows of an earlier daemon kept, 0 of targets or services that are no more, 0 damaged; moved "
                    "from tables for 65536 flows, {} found no room",
                    kept, 400 - kept));
  CHECK(kept > 200);
}

TEST_CASE("flow store: what cannot be understood is forgotten, and said", "[flow]") {
  const ShmTestDir dir;
  const std::string path = dir.name().path(".flows");
  { enter(start(dir, 4096)->table(0), 0, 10); }
  std::string expected;
  SECTION("another layout") {
    const uint32_t version = 77;
    const UniqueFd fd = std::move(open_shm_file(path, true)).value();
    REQUIRE(::pwrite(fd.get(), &version, sizeof version, 8) == sizeof version);
    expected = "flow table: version 77, not 2";
  }
  SECTION("cut off") {
    REQUIRE(::truncate(path.c_str(), 4096) == 0);
    expected = fmt::format("flow table: cut off after 4096 of {} bytes", flow_geometry(4096).region_bytes);
  }
  SECTION("tables of two secrets") {
    const uint64_t secret = 77;
    const UniqueFd fd = std::move(open_shm_file(path, true)).value();
    const auto at = static_cast<off_t>(flow_geometry(4096).region_bytes + offsetof(FlowTableHeader, secret));
    REQUIRE(::pwrite(fd.get(), &secret, sizeof secret, at) == sizeof secret);
    expected = "its tables do not agree";
  }
  for (const uint32_t flows : {4096u, 4096u}) {
    const auto store = start(dir, flows);
    if (!expected.empty()) CHECK(store->report() == "flows of an earlier daemon forgotten: " + expected);
    expected.clear();
    CHECK(store->readers()[0].counter(FlowCounter::live) == 0);
  }
}

TEST_CASE("flow store: room without a table, of a daemon that died while it grew, costs no flow", "[flow]") {
  const uint32_t flows = GENERATE(4096u, 65536u);  // the same tables, or others
  const ShmTestDir dir;
  { enter(start(dir, 4096)->table(1), 0, 300); }
  const std::string path = dir.name().path(".flows");
  std::filesystem::resize_file(path, (kTables + 2) * flow_geometry(4096).region_bytes);
  const auto store = start(dir, flows);
  CHECK(store->readers().size() == kTables);
  CHECK(store->readers()[1].counter(FlowCounter::live) == 300);
  REQUIRE(store->grow_to(kTables + 2));
  enter(store->table(kTables + 1), 0, 10);
  CHECK(bytes_taken(dir) == (kTables + 2) * flow_geometry(flows).region_bytes);
}

TEST_CASE("flow store: a start that is refused leaves no file", "[flow]") {
  const ShmTestDir dir;
  { REQUIRE((*FlowStore::open(dir.name(), 4096, three_targets(), kNow))->grow_to(kTables)); }
  CHECK(files_in(dir) == 0);
}

TEST_CASE("flow store: a start that is refused keeps the flows of an earlier daemon", "[flow]") {
  const uint32_t flows = GENERATE(4096u, 65536u);  // the same tables, or others
  const ShmTestDir dir;
  { enter(start(dir, 4096)->table(0), 0, 300); }
  const uint64_t taken = bytes_taken(dir);
  {
    const auto store = FlowStore::open(dir.name(), flows, three_targets(), kNow);
    REQUIRE(store);
    REQUIRE((*store)->grow_to(kTables + 2));
  }
  CHECK(bytes_taken(dir) == taken);
  CHECK(files_in(dir) == 1);
  CHECK(start(dir, 4096)->report() ==
        "300 flows of an earlier daemon kept, 0 of targets or services that are no more, 0 damaged");
}

TEST_CASE("flow store: tables of a daemon that took pages as flows came get all of them", "[flow]") {
  const ShmTestDir dir;
  { enter(start(dir, 65536)->table(0), 0, 100); }
  const std::string path = dir.name().path(".flows");
  std::filesystem::rename(path, path + ".full");
  REQUIRE(std::system(fmt::format("cp --sparse=always {0}.full {0} && chmod 600 {0}", path).c_str()) == 0);
  REQUIRE(bytes_taken(dir) < kTables * flow_geometry(65536).region_bytes / 2);
  SECTION("also where they are only looked at, to be moved") {
    const auto store = FlowStore::open(dir.name(), 4096, three_targets(), kNow);
    REQUIRE(store);
    CHECK((*store)->readers()[0].counter(FlowCounter::live) == 100);
    CHECK(bytes_taken(dir) == kTables * flow_geometry(65536).region_bytes);
  }
  const auto store = start(dir, 65536);
  CHECK(bytes_taken(dir) == kTables * flow_geometry(65536).region_bytes);
  CHECK(store->readers()[0].counter(FlowCounter::live) == 100);
}

}  // namespace xdplb
