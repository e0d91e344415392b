#include "user/path/attach_record.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

namespace xdplb {
namespace {

struct TempDir {
  TempDir() { REQUIRE(mkdtemp(path) != nullptr); }
  ~TempDir() {
    unlink(file().c_str());
    rmdir(path);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] std::string file() const { return std::string(path) + "/record"; }
  char path[32] = "/tmp/xdplb-record-XXXXXX";
};

TEST_CASE("a record comes back as it was saved") {
  const TempDir dir;
  const AttachRecord record{412, {{7, false}, {9, true}}, {"/sys/fs/bpf/lb/xdp_vip", "/sys/fs/bpf/lb/with space"}};
  REQUIRE(save_record(dir.file(), record));
  CHECK(load_record(dir.file()) == record);
  CHECK(record.covers(412, 9));
  CHECK_FALSE(record.covers(411, 9));
  CHECK_FALSE(record.covers(412, 8));
}

TEST_CASE("no record, or one that makes no sense, says that nothing is ours") {
  const TempDir dir;
  CHECK(load_record(dir.file()) == AttachRecord{});
  std::ofstream(dir.file()) << "program twelve\nattached x y\n";
  CHECK(load_record(dir.file()) == AttachRecord{});
}

}  // namespace
}  // namespace xdplb
