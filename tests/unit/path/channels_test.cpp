#include "user/path/channels.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tests/support/scratch.h"

namespace xdplb {
namespace {

// A sysfs with one device, "eth2", gone with the test.
class FakeSysfs {
 public:
  FakeSysfs() : root_(testing::scratch("xdplb-channels-") + std::to_string(getpid())) {
    std::filesystem::create_directories(root_ / "eth2" / "queues");
    std::ofstream(root_ / "eth2" / "ifindex") << "7\n";
    std::ofstream(root_ / "eth2" / "address") << "02:00:00:00:00:07\n";
  }
  ~FakeSysfs() { std::filesystem::remove_all(root_); }
  FakeSysfs(const FakeSysfs&) = delete;
  FakeSysfs& operator=(const FakeSysfs&) = delete;

  void add_queue(const char* name) { std::filesystem::create_directory(root_ / "eth2" / "queues" / name); }
  [[nodiscard]] std::string root() const { return root_; }

 private:
  std::filesystem::path root_;
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
