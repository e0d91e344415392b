#include "user/path/device.h"

#include <catch2/catch.hpp>

namespace xdplb {
namespace {

PlaneDevice device(const char* kind, const char* driver, uint32_t native_id, uint32_t generic_id) {
  PlaneDevice made;
  made.link.name = "eth2";
  made.link.kind = kind;
  made.link.xdp_native_id = native_id;
  made.link.xdp_generic_id = generic_id;
  made.driver = driver;
  return made;
}

TEST_CASE("zero copy is tried only where the program is native") {
  struct Row {
    const char* what;
    uint32_t native_id, generic_id;
    ZeroCopy asked, got;
    const char* why;
  };
  const Row rows[] = {
      {"native", 7, 0, ZeroCopy::automatic, ZeroCopy::automatic, ""},
      {"native, forced", 7, 0, ZeroCopy::force, ZeroCopy::force, ""},
      {"native, switched off", 7, 0, ZeroCopy::off, ZeroCopy::off, "--zerocopy=off"},
      {"generic", 0, 7, ZeroCopy::automatic, ZeroCopy::off, "XDP on it is generic"},
      {"generic, switched off", 0, 7, ZeroCopy::off, ZeroCopy::off, "--zerocopy=off"},
      {"none", 0, 0, ZeroCopy::automatic, ZeroCopy::off, "it has no XDP program"},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    const auto choice = choose_copy(device("", "virtio_net", row.native_id, row.generic_id), row.asked);
    REQUIRE(choice);
    CHECK(choice->zero_copy == row.got);
    CHECK(choice->why_copy == row.why);
  }
}

TEST_CASE("zero copy is not tried where the kernel says that there is none, unless it is forced") {
  PlaneDevice veth = device("veth", "veth", 7, 0);
  veth.has_zero_copy = false;
  const auto choice = choose_copy(veth, ZeroCopy::automatic);
  REQUIRE(choice);
  CHECK(choice->zero_copy == ZeroCopy::off);
  CHECK(choice->why_copy == "the driver has none");
  CHECK(choose_copy(veth, ZeroCopy::force)->zero_copy == ZeroCopy::force);
  CHECK(choose_copy(veth, ZeroCopy::off)->why_copy == "--zerocopy=off");
}

TEST_CASE("zero copy cannot be forced where the program is not native") {
  CHECK(choose_copy(device("", "virtio_net", 0, 7), ZeroCopy::force).error().message ==
        "Zero copy was forced, and [eth2] has none: XDP on it is generic, and zero copy needs a native one "
        "(--zerocopy=auto falls back to copy)");
  CHECK_FALSE(choose_copy(device("", "ice", 0, 0), ZeroCopy::force));
}

TEST_CASE("devices of virtual peers may have partial checksums, physical ones never") {
  CHECK(leaves_checksums_partial(device("veth", "veth", 7, 0)));
  CHECK(leaves_checksums_partial(device("tun", "tun", 7, 0)));
  CHECK(leaves_checksums_partial(device("", "virtio_net", 0, 7)));
  CHECK_FALSE(leaves_checksums_partial(device("", "ice", 7, 0)));
  CHECK_FALSE(leaves_checksums_partial(device("", "", 7, 0)));
}

TEST_CASE("a device's zero copy is said in one word, and why it is not yes") {
  CHECK(zero_copy_text(2, 2, "") == "yes");
  CHECK(zero_copy_text(2, 0, "the driver has none") == "no (the driver has none)");
  CHECK(zero_copy_text(2, 0, "") == "no");
  CHECK(zero_copy_text(4, 3, "the driver refused it: Invalid argument") ==
        "on 3 of 4 queues (the driver refused it: Invalid argument)");
}

}  // namespace
}  // namespace xdplb
