#include "umem/region.h"

#include <catch2/catch.hpp>
#include <cerrno>
#include <utility>

using namespace xdplb;

TEST_CASE("packet memory is zero, writable to its last byte and aligned to its pages") {
  for (const HugePages huge : {HugePages::try_all, HugePages::never}) {
    Result<MappedRegion> region = MappedRegion::create(3'000'000, huge);
    REQUIRE(region);
    const auto bytes = region->bytes();
    CHECK(bytes.size() >= 3'000'000);
    const uint64_t page = region->page_kind() == PageKind::small ? 4096 : 2u << 20;
    CHECK(bytes.size() % page == 0);
    CHECK(reinterpret_cast<uint64_t>(bytes.data()) % page == 0);
    CHECK(bytes.front() == std::byte{0});
    CHECK(bytes.back() == std::byte{0});
    bytes.back() = std::byte{1};
    CHECK_FALSE(page_kind_text(region->page_kind()).empty());
  }
  CHECK(MappedRegion::create(1, HugePages::never)->page_kind() == PageKind::small);
}

TEST_CASE("moving packet memory leaves one owner") {
  MappedRegion a = MappedRegion::create(4096).value();
  std::byte* const memory = a.bytes().data();
  MappedRegion b = std::move(a);
  CHECK(b.bytes().data() == memory);
  CHECK(a.bytes().empty());  // NOLINT(bugprone-use-after-move): what it leaves behind is what is tested
  MappedRegion c = MappedRegion::create(8192, HugePages::never).value();
  c = std::move(b);
  CHECK(c.bytes().data() == memory);
}

TEST_CASE("memory that there is not is refused with its size and the cause") {
  const Result<MappedRegion> huge = MappedRegion::create(uint64_t{1} << 45);
  REQUIRE_FALSE(huge);
  CHECK(huge.error().sys_errno == ENOMEM);
  CHECK(huge.error().message == "Cannot map 35184372088832 bytes of packet memory: Cannot allocate memory");
  CHECK_FALSE(MappedRegion::create(~uint64_t{0}));
  CHECK_FALSE(MappedRegion::create(~uint64_t{0}, HugePages::never));
  CHECK(MappedRegion::create(0).error().message == "Cannot map packet memory of 0 bytes");
}
