// xdp_egress_live and xdp_vip_live: every packet that a worker stages leaves once, whole, in order; and nothing else
// does.
#include <bpf/bpf.h>
#include <sched.h>
#include <sys/time.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstdio>
#include <thread>

#include "tests/kern/live_rig.h"
#include "tests/kern/vip_rig.h"
#include "user/base/clock.h"
#include "user/base/unique_fd.h"

using namespace xdplb;
using namespace xdplb::frames;

namespace {

// The order of frames on a veth holds for one CPU.
void pin_to_cpu(uint32_t cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu % std::max(1u, std::thread::hardware_concurrency()), &set);
  sched_setaffinity(0, sizeof set, &set);
}

// A frame of `len_bytes` in which no byte is predictable from its place alone.
Bytes numbered(uint32_t worker, uint32_t number, size_t len_bytes) {
  Bytes frame = ether(LiveRig::kEtherType, be16(worker) + be16(number >> 16) + be16(number));
  while (frame.size() < len_bytes)
    frame.push_back(static_cast<uint8_t>(frame.size() * 7 + size_t{number} * 31 + worker));
  return frame;
}

std::vector<Bytes> numbered_batch(uint32_t worker, uint32_t first, uint32_t count) {
  static constexpr size_t kLengths[] = {60, 1514, 61, 64, 1000, 128, 1513, 63};
  std::vector<Bytes> batch;
  for (uint32_t i = 0; i < count; i++)
    batch.push_back(numbered(worker, first + i, kLengths[i % std::size(kLengths)]));
  return batch;
}

uint32_t worker_of(const Bytes& frame) {
  return static_cast<uint32_t>(frame.at(14) << 8 | frame.at(15));
}

// Signals at a rate that interrupts most calls, for as long as it lives.
class SignalStorm {
 public:
  SignalStorm() {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    sigaction(SIGALRM, &action, &before_);
    const itimerval interval{.it_interval = {0, 20}, .it_value = {0, 20}};
    setitimer(ITIMER_REAL, &interval, nullptr);
  }
  ~SignalStorm() {
    const itimerval none{};
    setitimer(ITIMER_REAL, &none, nullptr);
    sigaction(SIGALRM, &before_, nullptr);
  }

 private:
  struct sigaction before_ {};
};

// The far end drops everything, as the cheapest receiver there is, while this lives.
class DropAtFarEnd {
 public:
  DropAtFarEnd() {
    const bpf_insn drop[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = XDP_DROP},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    const UniqueFd program(bpf_prog_load(BPF_PROG_TYPE_XDP, "drop", "GPL", drop, std::size(drop), nullptr));
    uint32_t before_id = 0;
    REQUIRE(bpf_xdp_query_id(test_devices().second, 0, &before_id) == 0);
    before_.reset(bpf_prog_get_fd_by_id(before_id));
    REQUIRE(bpf_xdp_attach(test_devices().second, program.get(), 0, nullptr) == 0);
  }
  ~DropAtFarEnd() { bpf_xdp_attach(test_devices().second, before_.get(), 0, nullptr); }

 private:
  UniqueFd before_;
};

}  // namespace

TEST_CASE("live: what is staged arrives whole and in order") {
  pin_to_cpu(0);
  LiveRig rig(1, GENERATE(egress_live_object(), vip_live_object()));
  for (uint32_t round = 0; round < 20; round++) {  // the pages come round again with old bytes in them
    const std::vector<Bytes> batch = numbered_batch(0, round * LiveRig::kFlight, LiveRig::kFlight);
    rig.stage(0, batch);
    rig.send(0);
    REQUIRE(rig.receive(batch.size()) == batch);
  }
  CHECK(rig.run(0).refused == 0);
  CHECK(rig.is_silent());
}

TEST_CASE("live: every length from the shortest frame to the MTU") {
  pin_to_cpu(0);
  LiveRig rig(1);
  for (size_t len_bytes = 20; len_bytes <= 1514;) {
    std::vector<Bytes> batch;
    for (; len_bytes <= 1514 && batch.size() < LiveRig::kFlight; len_bytes++)
      batch.push_back(numbered(0, static_cast<uint32_t>(len_bytes), len_bytes));
    rig.stage(0, batch);
    rig.send(0);
    REQUIRE(rig.receive(batch.size()) == batch);
  }
}

TEST_CASE("live: interrupted calls go on where they stopped") {
  pin_to_cpu(0);
  LiveRig rig(1);
  uint32_t interrupted = 0;
  for (uint32_t round = 0; round < 100; round++) {
    const std::vector<Bytes> batch = numbered_batch(0, round * LiveRig::kFlight, LiveRig::kFlight);
    rig.stage(0, batch);
    {
      const SignalStorm storm;
      interrupted += rig.send(0, 4);
    }
    REQUIRE(rig.receive(batch.size()) == batch);
  }
  CHECK(interrupted > 100);
  CHECK(rig.is_silent());
}

TEST_CASE("live: workers do not mix") {
  LiveRig rig(3);
  constexpr uint32_t kEach = LiveRig::kFlight / 3;
  constexpr size_t kAll = LiveRig::kFlight;
  for (uint32_t round = 0; round < 20; round++) {
    std::vector<std::thread> threads;
    for (uint32_t worker = 0; worker < 3; worker++) {
      rig.stage(worker, numbered_batch(worker, round * kEach, kEach));
      threads.emplace_back([&rig, worker] {
        pin_to_cpu(worker);
        rig.send(worker, 8);
      });
    }
    for (std::thread& t : threads) t.join();
    const std::vector<Bytes> arrived = rig.receive(kAll);
    REQUIRE(arrived.size() == kAll);
    for (uint32_t worker = 0; worker < 3; worker++) {
      std::vector<Bytes> own;
      std::copy_if(arrived.begin(), arrived.end(), std::back_inserter(own),
                   [worker](const Bytes& frame) { return worker_of(frame) == worker; });
      REQUIRE(own == numbered_batch(worker, round * kEach, kEach));
    }
  }
}

TEST_CASE("live: only when armed, and no more than was staged") {
  LiveRig rig(2, GENERATE(egress_live_object(), vip_live_object()));
  const std::vector<Bytes> batch = numbered_batch(0, 0, 5);
  rig.stage(0, batch);

  SECTION("an ordinary test run passes") {
    CHECK(rig.test_run_verdict() == kPass);
    CHECK(rig.run(0).tail == 0);
  }
  SECTION("a live run that nobody armed sends nothing") {
    CHECK(rig.call(0, 5) == 0);
    CHECK(rig.run(0).tail == 0);
    CHECK(rig.is_silent());
  }
  SECTION("another worker's call leaves it alone") {
    rig.run(0).armed = 1;
    CHECK(rig.call(1, 5) == 0);
    CHECK(rig.run(0).tail == 0);
    CHECK(rig.is_silent());
  }
  SECTION("repetitions beyond the count are dropped") {
    rig.run(0).armed = 1;
    CHECK(rig.call(0, 50) == 0);
    CHECK(rig.run(0).tail == 5);
    CHECK(rig.receive(5) == batch);
    CHECK(rig.is_silent());
  }
  SECTION("a place beyond the stage is not believed") {
    const uint32_t beyond = GENERATE(uint32_t{sizeof(xdplb_stage) - sizeof(xdplb_staged) + 1}, 0xffffffffu);
    rig.run(0).count = 100'000;
    rig.run(0).next_at = beyond;
    rig.run(0).armed = 1;
    CHECK(rig.call(0, 5) == 0);
    CHECK(rig.run(0).tail == 0);
    CHECK(rig.is_silent());
  }
  SECTION("nor is the way to one: what comes before leaves") {
    rig.staged(0, 2).stride = 0xffffff00;
    rig.run(0).armed = 1;
    CHECK(rig.call(0, 5) == 0);
    CHECK(rig.receive(3) == std::vector<Bytes>(batch.begin(), batch.begin() + 3));
    CHECK(rig.is_silent());
  }
}

TEST_CASE("live: an impossible length is refused and harms no other packet") {
  pin_to_cpu(0);
  LiveRig rig(1);
  std::vector<Bytes> batch = numbered_batch(0, 0, 12);
  rig.stage(0, batch);
  const std::pair<uint32_t, uint32_t> impossible[] = {{2, 0}, {5, 13}, {6, 2041}, {9, 0xffffffff}};
  for (const auto& [packet, len_bytes] : impossible) rig.staged(0, packet).len_bytes = len_bytes;
  rig.send(0);
  CHECK(rig.run(0).refused == 4);
  for (const int packet : {9, 6, 5, 2}) batch.erase(batch.begin() + packet);
  CHECK(rig.receive(8) == batch);
}

TEST_CASE("live: a device that is gone, or a frame beyond its MTU, harms no other packet") {
  pin_to_cpu(0);
  LiveRig rig(1);
  std::vector<Bytes> batch = numbered_batch(0, 0, 8);
  batch[3] = numbered(0, 3, 2000);
  rig.stage(0, batch);
  rig.send(0);
  batch.erase(batch.begin() + 3);
  CHECK(rig.receive(7) == batch);

  rig.stage(0, batch);
  rig.run(0).ifindex = 1'000'000;
  rig.send(0);
  CHECK(rig.is_silent());
}

// The whole way, the veth's receive side included: it runs on the same CPU, as a part of the call.
TEST_CASE("what a live frame costs", "[.][bench]") {
  pin_to_cpu(0);
  const EmbeddedObject object = GENERATE(egress_live_object(), vip_live_object());
  LiveRig rig(1, object);
  const DropAtFarEnd receiver;
  for (const size_t len_bytes : {60u, 1514u}) {
    for (const uint32_t count : {1u, 16u, 64u, 256u, 512u}) {
      rig.stage(0, std::vector<Bytes>(count, ether(LiveRig::kEtherType, Bytes(len_bytes - 14))));
      std::vector<uint64_t> calls_ns;
      for (int round = 0; round < 101; round++) {
        rig.run(0).tail = rig.run(0).next_at = 0;
        const uint64_t start_ns = monotonic_ns();
        rig.send(0);
        calls_ns.push_back(monotonic_ns() - start_ns);
      }
      std::sort(calls_ns.begin(), calls_ns.end());
      std::printf("%-15s %4zu bytes x %3u: %6.1f us a call, %6.0f ns a packet\n", object.program, len_bytes, count,
                  static_cast<double>(calls_ns[50]) / 1000, static_cast<double>(calls_ns[50]) / count);
      CHECK(calls_ns[50] < 5 * kNsPerMs);  // 25 ms: the dispatcher was rebuilt
    }
  }
}
