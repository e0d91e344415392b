#include "umem/queue_release.h"

#include <net/if.h>

#include <catch2/catch.hpp>

#include "tests/kern/vip_rig.h"
#include "umem/region.h"
#include "umem/xsk_socket.h"

namespace xdplb {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint32_t kQueue = 5;

TEST_CASE("a queue is released a little after its socket is closed, and not before") {
  const auto ifindex = static_cast<uint32_t>(test_devices().first);
  char name[IF_NAMESIZE] = {};
  REQUIRE(if_indextoname(ifindex, name) != nullptr);
  auto region = MappedRegion::create(4 * kFrameBytes, HugePages::never);
  REQUIRE(region);
  XskOptions options;
  options.ifname = name;
  options.queue = kQueue;
  options.rings.tx = options.rings.completion = 4;
  auto socket = XskSocket::open(FrameArea(region->bytes().first(4 * kFrameBytes)), options);
  REQUIRE(socket);

  CHECK_FALSE(wait_for_queue_release(name, ifindex, kQueue, 30 * kMs));
  CHECK(wait_for_queue_release(name, ifindex, kQueue + 1, 0));
  socket->reset();
  CHECK(wait_for_queue_release(name, ifindex, kQueue, 2000 * kMs));
}

TEST_CASE("a queue or a device that is no more needs no waiting for") {
  char name[IF_NAMESIZE] = {};
  const auto ifindex = static_cast<uint32_t>(test_devices().first);
  REQUIRE(if_indextoname(ifindex, name) != nullptr);
  CHECK(wait_for_queue_release(name, ifindex, 4000, 0));
  CHECK(wait_for_queue_release("no-such-dev", 0, 0, 0));
}

}  // namespace
}  // namespace xdplb
