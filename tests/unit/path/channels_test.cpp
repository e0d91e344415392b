#include "user/path/channels.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tests/unit/ctl/shm_test_dir.h"

namespace xdplb {
namespace {

// A sysfs with one device, "eth2", gone with the test.
class FakeSysfs {
 public:
  FakeSysfs() {
    std::filesystem::create_directories(device_ / "queues");
    std::ofstream(device_ / "ifindex") << "7\n";
    std::ofstream(device_ / "address") << "02:00:00:00:00:07\n";
  }

  void add_queue(const char* name) { std::filesystem::create_directory(device_ / "queues" / name); }
  [[nodiscard]] const std::string& root() const { return root_.path(); }

 private:
  ShmTestDir root_;
  std::filesystem::path device_ = std::filesystem::path(root_.path()) / "eth2";
};

LinkInfo eth2() {
  LinkInfo link;
  link.ifindex = 7;
  link.name = "eth2";
  link.mac = *parse_mac("02:00:00:00:00:07");
  return link;
}

TEST_CASE("sysfs counts the transmit queues that are real, not the receive queues") {
  FakeSysfs sysfs;
  for (const char* queue : {"rx-0", "rx-1", "rx-2", "tx-0"}) sysfs.add_queue(queue);
  CHECK(sysfs_tx_queues(eth2(), sysfs.root()) == 1u);
  sysfs.add_queue("tx-1");
  CHECK(sysfs_tx_queues(eth2(), sysfs.root()) == 2u);
}

TEST_CASE("sysfs is not believed about a device of the same name in another network namespace") {
  FakeSysfs sysfs;
  sysfs.add_queue("tx-0");
  LinkInfo other_index = eth2();
  other_index.ifindex = 8;
  CHECK_FALSE(sysfs_tx_queues(other_index, sysfs.root()).has_value());
  LinkInfo other_mac = eth2();
  other_mac.mac = *parse_mac("02:00:00:00:00:08");
  CHECK_FALSE(sysfs_tx_queues(other_mac, sysfs.root()).has_value());
  LinkInfo absent = eth2();
  absent.name = "eth9";
  CHECK_FALSE(sysfs_tx_queues(absent, sysfs.root()).has_value());
}

TEST_CASE("sysfs without queues says nothing") {
  const FakeSysfs sysfs;
  CHECK_FALSE(sysfs_tx_queues(eth2(), sysfs.root()).has_value());
}

}  // namespace
}  // namespace xdplb
