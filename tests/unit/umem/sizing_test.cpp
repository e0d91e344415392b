#include "umem/sizing.h"

#include <bit>
#include <catch2/catch.hpp>

using namespace xdplb;

TEST_CASE("rings shrink as queues grow in number") {
  CHECK(default_ring_sizes(1) == RingSizes{4096, 4096, 2048, 2048});
  CHECK(default_ring_sizes(4) == default_ring_sizes(1));
  CHECK(default_ring_sizes(5) == RingSizes{2048, 2048, 1024, 1024});
  CHECK(default_ring_sizes(16) == default_ring_sizes(5));
  CHECK(default_ring_sizes(17) == RingSizes{1024, 1024, 512, 512});
  CHECK(default_ring_sizes(kMaxQueues) == default_ring_sizes(17));
  for (uint32_t queues = 1; queues <= kMaxQueues; ++queues) {
    const RingSizes sizes = default_ring_sizes(queues);
    CHECK((std::has_single_bit(sizes.rx) && std::has_single_bit(sizes.fill)));
    CHECK((std::has_single_bit(sizes.tx) && std::has_single_bit(sizes.completion)));
    // A whole batch must fit, or its tail is dropped on an idle device.
    CHECK(sizes.tx >= kMaxBatch);
  }
}

TEST_CASE("the frames of a worker are the sum of who may have them") {
  const RingSizes rings{.rx = 100, .fill = 200, .tx = 30, .completion = 40};
  struct Row {
    const char* what;
    WorkerShape shape;
    FrameSum sum;
  };
  const Row rows[] = {
      {"two arms, copy",
       {.zero_copy = false, .rings = rings, .held_max = 6},
       {.frame_size = kSmallFrames,
        .fill = 200,
        .rx = 100,
        .tx = 30,
        .completion = 40,
        .batch = kMaxBatch,
        .held = 6}},
      {"two arms, maybe zero copy",
       {.rings = rings},
       {.fill = 200, .rx = 100, .tx = 30, .completion = 40, .tx_only_fill = kTxOnlyFill, .batch = kMaxBatch}},
      {"one arm: the port that transmits has the fill ring that it receives with",
       {.tx_only_ports = 0, .rings = rings},
       {.fill = 200, .rx = 100, .tx = 30, .completion = 40, .batch = kMaxBatch}},
      {"two ingress ports that send to other balancers",
       {.rx_ports = 2, .peer_ports = 2, .zero_copy = false, .rings = rings},
       {.frame_size = kSmallFrames,
        .fill = 400,
        .rx = 200,
        .tx = 30,
        .completion = 40,
        .peers = 4 * kPeerTx,
        .batch = kMaxBatch}},
      {"three ingress queues, one egress",
       {.rx_ports = 3, .zero_copy = false, .mtu = 9000, .rings = rings},
       {.fill = 600, .rx = 300, .tx = 30, .completion = 40, .batch = kMaxBatch}},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    CHECK(worker_frames(row.shape) == row.sum);
  }
  CHECK(rows[0].sum.total() == 376 + kMaxBatch);
  CHECK(rows[0].sum.len_bytes() == (376 + kMaxBatch) * 2048);
}

TEST_CASE("frames are small where the kernel copies and every packet fits") {
  // 256 bytes of headroom, Ethernet, two VLAN tags.
  CHECK(frame_size_for(1500, false) == kSmallFrames);
  CHECK(frame_size_for(2048 - 256 - 14 - 8, false) == kSmallFrames);
  CHECK(frame_size_for(2048 - 256 - 14 - 8 + 1, false) == kLargeFrames);
  CHECK(frame_size_for(9000, false) == kLargeFrames);
  CHECK(frame_size_for(~0u, false) == kLargeFrames);
  CHECK(frame_size_for(1500, true) == kLargeFrames);
}

TEST_CASE("the memory of 64 queues stays reasonable") {
  WorkerShape shape{.rings = default_ring_sizes(kMaxQueues), .held_max = 256};
  CHECK(worker_frames(shape).len_bytes() * kMaxQueues < uint64_t{5} << 28);  // 1.25 GiB
  shape.rings = default_ring_sizes(1);
  CHECK(worker_frames(shape).len_bytes() < 64 << 20);
}

TEST_CASE("the sum is said with its lines") {
  const FrameSum sum{.fill = 4096, .rx = 4096, .tx = 2048, .completion = 2048, .batch = 512};
  CHECK(frame_sum_text(sum) ==
        "12800 frames of 4 KiB, 50.0 MiB = 4096 fill + 4096 rx + 2048 tx + 2048 completion + 512 batch");
}
