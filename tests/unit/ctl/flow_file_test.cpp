// How a table of the file is mapped: where huge pages fit, and the same bytes whatever pages the kernel gives.
#include "user/ctl/flow_file.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/unit/ctl/shm_test_dir.h"
#include "user/ctl/flow_room.h"
#include "user/ctl/shm_file.h"

namespace xdplb {
namespace {

constexpr uint32_t kFlows = 50000;  // buckets of one huge page and a half
constexpr size_t kTables = 2;

class TwoTables {
 public:
  TwoTables() : fd_(std::move(create_unnamed_file(dir_.path(), 0)).value()) {
    REQUIRE(take_room(fd_.get(), 0, kTables, kFlows, "flows"));
  }
  ~TwoTables() {
    for (const std::span<std::byte> table : mapped_) munmap(table.data(), table.size());
  }
  TwoTables(const TwoTables&) = delete;
  TwoTables& operator=(const TwoTables&) = delete;

  std::span<std::byte> map(size_t index) {
    const auto table = map_flow_table(fd_.get(), index, geometry_, "flows");
    REQUIRE(table);
    mapped_.push_back(*table);
    return *table;
  }
  [[nodiscard]] const FlowGeometry& geometry() const { return geometry_; }

 private:
  ShmTestDir dir_;
  UniqueFd fd_;
  FlowGeometry geometry_ = flow_geometry(kFlows);
  std::vector<std::span<std::byte>> mapped_;
};

// Every word says where it lies.
void number_words(std::span<std::byte> table) {
  for (uint64_t at = 0; at < table.size(); at += sizeof at) std::memcpy(table.data() + at, &at, sizeof at);
}

bool are_words_numbered(std::span<const std::byte> table) {
  for (uint64_t at = 0; at < table.size(); at += sizeof at) {
    if (std::memcmp(table.data() + at, &at, sizeof at) != 0) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("flow file: each table is mapped where huge pages fit", "[flow]") {
  TwoTables file;
  for (const size_t index : {0, 1, 1}) {
    const std::span<std::byte> table = file.map(index);
    CHECK(reinterpret_cast<uintptr_t>(table.data()) % kFlowAlignBytes == 0);
    CHECK(table.size() == file.geometry().region_bytes);
  }
}

TEST_CASE("flow file: collapsed buckets keep what is in them, and stay those of the file", "[flow]") {
  TwoTables file;
  const std::span<std::byte> table = file.map(1), other = file.map(1);
  number_words(table);
  // Whether it can be done depends on the kernel; nothing else may.
  const bool is_collapsed = collapse_buckets(table, file.geometry());
  CAPTURE(is_collapsed);
  CHECK(are_words_numbered(table));
  CHECK(are_words_numbered(other));
  const std::span<std::byte> later = file.map(1);
  const size_t first = file.geometry().buckets_offset, last = file.geometry().cold_offset - 1;
  for (const size_t at : {first, last}) table[at] = std::byte{0xa5};
  for (const size_t at : {first, last}) {
    CHECK(other[at] == std::byte{0xa5});
    CHECK(later[at] == std::byte{0xa5});
  }
  collapse_buckets(later, file.geometry());  // as the next daemon does
  CHECK(std::memcmp(later.data(), table.data(), table.size()) == 0);
}

TEST_CASE("flow file: buckets that nobody wrote read as zeros once they are collapsed", "[flow]") {
  TwoTables file;
  const std::span<std::byte> table = file.map(0);
  collapse_buckets(table, file.geometry());
  CHECK(std::all_of(table.begin(), table.end(), [](std::byte b) { return b == std::byte{0}; }));
}

}  // namespace xdplb
