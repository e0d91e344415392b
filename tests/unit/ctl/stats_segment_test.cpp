#include "user/ctl/stats_segment.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/unit/ctl/shm_test_dir.h"
#include "user/base/reason.h"
#include "user/ctl/shared_memory.h"
#include "user/ctl/stats_wire.h"

namespace xdplb {
namespace {

DaemonStats sample() {
  DaemonStats stats;
  stats.pid = 4711;
  stats.started_realtime_ns = 1;
  stats.written_monotonic_ns = 2;
  stats.generation = 3;
  stats.modes = {{"mode", "native"}, {"zero-copy", "off: veth has none"}};
  stats.program = {4, 5, 6, 7};
  stats.egress_dropped = 8;
  stats.reasons = reason_names();
  for (uint32_t i = 0; i < 2; ++i) {
    WorkerStats& w = stats.workers.emplace_back();
    w.name = "eth2/" + std::to_string(i);
    w.cpu = i + 1;
    uint64_t value = 100 * (i + 1);
    for (uint64_t* field : {&w.rx,
                            &w.tx,
                            &w.held,
                            &w.batches,
                            &w.wakeups,
                            &w.busy_ns,
                            &w.frames_total,
                            &w.frames_free,
                            &w.kernel_rx_dropped,
                            &w.kernel_rx_ring_full,
                            &w.kernel_rx_invalid,
                            &w.kernel_fill_empty,
                            &w.kernel_tx_invalid,
                            &w.flows,
                            &w.flows_max,
                            &w.flow_hits,
                            &w.flow_misses,
                            &w.flow_refused_full,
                            &w.flow_refused_quota,
                            &w.flow_refused_embryonic,
                            &w.to_peers,
                            &w.from_peers,
                            &w.tx_live,
                            &w.live_batches,
                            &w.flows_high_water,
                            &w.flow_expired}) {
      *field = value++;
    }
    w.drops.assign(stats.reasons.size(), 0);
    w.drops[static_cast<size_t>(Reason::no_target)] = 5 + i;
  }
  stats.targets = {{"vm-001", 0, 10, 1000, 2, MacAddr{{2, 0, 0, 0, 0, 1}}, Reach::by_mac, 0},
                   {std::string(63, 'x'), 65534, 1, 2, 3, {}, Reach::unreachable, 0}};
  stats.targets[0].usable = 1;
  stats.services = {{"default", 11, 1002, 11, 5, 1, 2, 4711}};
  return stats;
}

DaemonStats sample_with_devices() {
  DaemonStats stats = sample();
  stats.devices = {{"eth2", 1, 2, 3, 4}, {"eth1", 5, 6, 7, 8}};
  return stats;
}

}  // namespace

TEST_CASE("stats: what is encoded is decoded") {
  for (const DaemonStats& stats : {DaemonStats{}, sample(), sample_with_devices()}) {
    const auto decoded = decode_stats(encode_stats(stats));
    REQUIRE(decoded);
    CHECK(*decoded == stats);
  }
}

TEST_CASE("stats: every truncation is an error") {
  const std::vector<uint8_t> bytes = encode_stats(sample_with_devices());
  for (size_t len = 0; len < bytes.size(); ++len) {
    CAPTURE(len);
    REQUIRE_FALSE(decode_stats(std::span(bytes).first(len)));
  }
}

TEST_CASE("stats: counts without bytes behind them are errors") {
  const std::vector<uint8_t> bytes = encode_stats(sample());
  for (size_t field = 0; field < 72; field += 4) {
    for (const uint32_t value : {0u, 1u, 0x7fffffffu, UINT32_MAX}) {
      std::vector<uint8_t> changed = bytes;
      std::memcpy(changed.data() + field, &value, sizeof value);
      const auto decoded = decode_stats(changed);
      if (decoded) CHECK(decoded->workers.size() <= 2);
    }
  }
}

TEST_CASE("stats: a reader with other record sizes takes what it knows") {
  const DaemonStats stats = sample();
  std::vector<uint8_t> bytes = encode_stats(stats);
  // A daemon of the future: its service records, the last array, are eight bytes longer.
  uint32_t service_bytes = 0;
  std::memcpy(&service_bytes, bytes.data() + 64, sizeof service_bytes);
  REQUIRE(service_bytes == 120);
  service_bytes += 8;
  std::memcpy(bytes.data() + 64, &service_bytes, sizeof service_bytes);
  bytes.insert(bytes.end(), 8, 0xff);
  const auto longer = decode_stats(bytes);
  REQUIRE(longer);
  CHECK(*longer == stats);
  // A daemon of the past: they end before `flows`.
  service_bytes = 88;
  std::memcpy(bytes.data() + 64, &service_bytes, sizeof service_bytes);
  const auto shorter = decode_stats(bytes);
  REQUIRE(shorter);
  CHECK(shorter->services[0].drops == 11);
  CHECK(shorter->services[0].flows == 0);
}

TEST_CASE("stats: JSON and text") {
  const DaemonStats stats = sample_with_devices();
  const auto json = nlohmann::json::parse(stats_to_json(stats));
  CHECK(json["total"]["rx"] == 300);
  CHECK(json["total"]["dropped"] == 11);
  CHECK(json["total"]["drops"]["no_target"] == 11);
  CHECK(json["total"]["drops"].contains("none") == false);
  CHECK(json["workers"][1]["name"] == "eth2/1");
  CHECK(json["workers"][1]["drops"]["no_target"] == 6);
  CHECK(json["workers"][1]["kernel_rx_dropped"] == 208);
  CHECK(json["written_monotonic_ns"] == 2);
  CHECK(json["targets"][0]["packets"] == 10);
  CHECK(json["modes"]["mode"] == "native");
  CHECK(json["program"]["stale"] == 6);
  CHECK(json["services"][0]["table_digest"] == 4711);
  CHECK(json["devices"][1]["tx_dropped"] == 8);

  const std::string text = stats_to_text(stats);
  CHECK(text.find("zero-copy: off: veth has none") != std::string::npos);
  CHECK(text.find("no usable target in the service") != std::string::npos);
  CHECK(text.find("tx_full") == std::string::npos);  // zero
  CHECK(text.find("vm-001") != std::string::npos);

  DaemonStats hostile = stats;
  hostile.targets[0].name = "\xff\xfe";
  CHECK_FALSE(stats_to_json(hostile).empty());
}

TEST_CASE("stats segment: written, read, removed with its writer") {
  const ShmTestDir dir;
  const ShmName name = dir.name();
  CHECK(read_stats(name).error().sys_errno == ENOENT);
  {
    auto writer = StatsWriter::create(name);
    REQUIRE(writer);
    CHECK(read_stats(name).value() == DaemonStats{});
    REQUIRE(writer->write(sample()));
    REQUIRE(writer->write_adoption({7, 6, "because"}));
    CHECK(read_stats(name).value() == sample());
    const auto adoption = read_adoption(name);
    REQUIRE(adoption);
    CHECK(adoption->adopted_generation == 7);
    CHECK(adoption->refused_generation == 6);
    CHECK(adoption->refused_why == "because");
    // A shorter body over a longer one.
    REQUIRE(writer->write(DaemonStats{}));
    CHECK(read_stats(name).value() == DaemonStats{});
  }
  CHECK(read_stats(name).error().sys_errno == ENOENT);
}

TEST_CASE("stats segment: replaces what a dead daemon left") {
  const ShmTestDir dir;
  const ShmName name = dir.name();
  UniqueFd(::open(name.path(".stats").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  CHECK_FALSE(read_stats(name));
  const auto writer = StatsWriter::create(name);
  REQUIRE(writer);
  CHECK(read_stats(name));
}

TEST_CASE("stats segment: damage is an error after a bounded time") {
  const ShmTestDir dir;
  const ShmName name = dir.name();
  auto writer = StatsWriter::create(name);
  REQUIRE(writer);
  REQUIRE(writer->write(sample()));
  const UniqueFd fd(::open(name.path(".stats").c_str(), O_RDWR | O_CLOEXEC));
  REQUIRE(::pwrite(fd.get(), "x", 1, 4096 + 16 + 100) == 1);
  REQUIRE_FALSE(read_stats(name));
  CHECK(read_stats(name).error().message.find("does not match its checksum") != std::string::npos);
  REQUIRE(::ftruncate(fd.get(), 10) == 0);
  CHECK_FALSE(read_stats(name));
  CHECK_FALSE(read_adoption(name));
}

TEST_CASE("stats segment: readers beside a writer see whole values") {
  const ShmTestDir dir;
  const ShmName name = dir.name();
  auto writer = StatsWriter::create(name);
  REQUIRE(writer);
  std::jthread thread([&](const std::stop_token& stop) {
    for (uint64_t i = 0; !stop.stop_requested(); ++i) {
      DaemonStats stats = sample();
      stats.generation = i;
      stats.targets.assign(500 + i % 100, TargetStats{"t", 1, i, i, i, {}, {}, 0});
      if (!writer->write(stats)) return;
    }
  });
  bool whole = true;
  for (int i = 0; i < 200; ++i) {
    const auto stats = read_stats(name);
    REQUIRE(stats);
    for (const TargetStats& target : stats->targets) {
      whole = whole && (target.packets == stats->generation || stats->generation == 0 || target.name != "t");
    }
  }
  CHECK(whole);
}

TEST_CASE("adoption: waiting for the daemon") {
  using std::chrono::milliseconds;
  const ShmTestDir dir;
  const ShmName name = dir.name();
  auto store = ConfigStore::create(name, make_default_config(7, 3));
  REQUIRE(store);
  CHECK(wait_adopted(name, 1, milliseconds{1000}).outcome == Adopted::no_daemon);

  const auto lock = store->acquire_daemon_lock();
  REQUIRE(lock);
  CHECK(wait_adopted(name, 1, milliseconds{20}).outcome == Adopted::timed_out);
  auto writer = StatsWriter::create(name);
  REQUIRE(writer);
  REQUIRE(writer->write_adoption({4, 0, ""}));
  CHECK(wait_adopted(name, 4, milliseconds{20}).outcome == Adopted::yes);
  CHECK(wait_adopted(name, 5, milliseconds{20}).outcome == Adopted::timed_out);
  std::jthread daemon([&] {
    std::this_thread::sleep_for(milliseconds{20});
    static_cast<void>(writer->write_adoption({4, 5, "no memory"}));
  });
  const AdoptionWait refused = wait_adopted(name, 5, milliseconds{5000});
  CHECK(refused.outcome == Adopted::refused);
  CHECK(refused.last.refused_why == "no memory");
}

}  // namespace xdplb
