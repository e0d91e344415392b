#include "user/path/worker.h"

#include <netinet/in.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>
#include <random>

#include "tests/support/fake_live.h"
#include "tests/support/fake_port.h"
#include "tests/support/packet.h"
#include "user/base/clock.h"
#include "user/lb/flow_geometry.h"
#include "user/net/parse.h"

namespace xdplb {
namespace {

using testing::FakeLive;
using testing::FakePort;
using testing::FakePortOptions;

constexpr uint32_t kFlows = 4096;

using test::operator+;

std::vector<std::byte> as_bytes(const test::Bytes& bytes) {
  std::vector<std::byte> out(bytes.size());
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

std::vector<std::byte> udp_packet(uint16_t src_port, uint32_t payload_bytes = 20) {
  return as_bytes(test::ether(0x0800) + test::ipv4(IPPROTO_UDP, test::udp(src_port, 53, test::fill(payload_bytes))));
}

// One half of a datagram; `id` names it.
std::vector<std::byte> fragment(uint16_t id, bool first) {
  test::Ipv4Options options;
  options.id = id;
  options.fragment = first ? 0x2000 : 0x0004;
  return as_bytes(test::ether(0x0800) +
                  test::ipv4(IPPROTO_UDP, test::udp(static_cast<uint16_t>(id + 1000), 53, test::fill(24)), options));
}

Config two_targets() {
  Config config = make_default_config(997, 2);
  for (uint8_t i = 0; i < 2; ++i) {
    config.targets[i].mac = MacAddr{{0, 0, 0, 1, 1, static_cast<uint8_t>(i + 1)}};
    config.targets[i].state = TargetState::active;
  }
  REQUIRE(assign_identities(Config{}, config));
  return config;
}

// A worker with one ingress and one egress port over plain memory, its clock in the test's hand.
class Rig {
 public:
  explicit Rig(const Config& config = two_targets(), uint32_t mtu = 1500, bool live = false)
      : flow_memory_(flow_geometry(kFlows).region_bytes),
        flows_(FlowTable::create(aligned(), kFlows, 42).value()),
        fragments_(fragment_buckets(64)),
        area_(memory_),
        pool_(kFrames),
        in_(area_, in_options()),
        out_(area_, out_options()),
        ingress_(PortId{0}, area_, in_.rings(), in_, pool_),
        egress_(PortId{1}, area_, out_.rings(), out_, pool_),
        snapshots_(compile_snapshot(config, 1, nullptr, kFlows)),
        live_(fake_live_.run_word(), fake_live_.stage(), 7, 1518, TxChoice::automatic, fake_live_),
        worker_(parts(mtu, live)) {}

  bool turn(uint64_t step_ns = 1'000'000) {
    now_ns_ += step_ns;
    return worker_.turn(now_ns_);
  }
  void check_conserved() {
    const FrameCounts counts = pool_.ledger().count();
    REQUIRE(counts.sum() == kFrames);
    REQUIRE(counts.batch == 0);
    REQUIRE(ingress_.conserved());
    REQUIRE(egress_.conserved());
    REQUIRE(pool_.consistent());
    REQUIRE(counters_.rx.get() == counters_.tx.get() + counters_.dropped() + counters_.held.get());
    REQUIRE(counts.held == counters_.held.get());
  }
  [[nodiscard]] uint64_t drops(Reason why) const { return counters_.drops[static_cast<size_t>(why)].get(); }
  void publish(const Config& config) {
    snapshots_.publish(compile_snapshot(config, snapshots_.current().generation + 1, nullptr, kFlows));
  }
  static uint8_t target_of(const FakePort::Packet& packet) { return static_cast<uint8_t>(packet.bytes[5]); }

  FakePort& in() { return in_; }
  FakePort& out() { return out_; }
  FakeLive& live() { return fake_live_; }
  Worker& worker() { return worker_; }
  WorkerCounters& counters() { return counters_; }
  FlowTable& flows() { return flows_; }
  FlushBox& flush() { return flush_; }
  uint64_t now_ns_ = kNsPerSec;

 private:
  static constexpr uint32_t kFrames = 512;
  static FakePortOptions in_options() {
    FakePortOptions o;
    o.tx_size = o.completion_size = 0;
    return o;
  }
  static FakePortOptions out_options() {
    FakePortOptions o;
    o.rx_size = o.fill_size = 0;
    return o;
  }
  std::span<std::byte> aligned() {
    void* start = flow_memory_.data();
    size_t space = flow_memory_.size() + 64;
    flow_memory_.resize(space);
    start = flow_memory_.data();
    std::align(64, space - 64, start, space);
    return {static_cast<std::byte*>(start), space};
  }
  WorkerParts parts(uint32_t mtu, bool live) {
    WorkerParts p;
    if (live) p.live = &live_;
    p.ingress.push_back({&ingress_, Heartbeat(&slot_)});
    p.egress = &egress_;
    p.pool = &pool_;
    p.area = area_;
    p.rules = {MacAddr{{2, 0, 0, 0, 0, 9}}, mtu, false};
    p.steering.flows = &flows_;
    p.steering.fragments = fragments_;
    p.steering.flush = &flush_;
    p.snapshots = &snapshots_;
    p.counters = &counters_;
    p.epoch = &epoch_;
    return p;
  }

  std::vector<std::byte> flow_memory_;
  FlowTable flows_;
  FlushBox flush_;
  std::vector<FragmentBucket> fragments_;
  std::vector<std::byte> memory_ = std::vector<std::byte>(kFrames * kFrameBytes);
  FrameArea area_;
  FramePool pool_;
  FakePort in_, out_;
  Port ingress_, egress_;
  SnapshotPublisher snapshots_;
  WorkerCounters counters_;
  WorkerEpoch epoch_;
  xdplb_slot slot_ = {};
  FakeLive fake_live_;
  LiveTransmit live_;
  Worker worker_;
};

TEST_CASE("a packet leaves with the target's and the egress device's MAC, and otherwise as it came") {
  Rig rig;
  rig.turn();
  const std::vector<std::byte> packet = udp_packet(1234);
  REQUIRE(rig.in().deliver(packet));
  CHECK(rig.turn());
  REQUIRE(rig.out().sent().size() == 1);
  const auto& sent = rig.out().sent()[0].bytes;
  const uint8_t egress_mac[6] = {2, 0, 0, 0, 0, 9};
  CHECK(std::memcmp(sent.data() + 6, egress_mac, 6) == 0);
  CHECK((Rig::target_of(rig.out().sent()[0]) == 1 || Rig::target_of(rig.out().sent()[0]) == 2));
  CHECK(std::equal(sent.begin() + 12, sent.end(), packet.begin() + 12, packet.end()));
  rig.check_conserved();
}

TEST_CASE("flows stay together, in order, and use both targets") {
  Rig rig;
  std::map<uint16_t, uint8_t> target;
  std::map<uint8_t, int> share;
  for (int round = 0; round < 3; ++round) {
    for (uint16_t port = 0; port < 200; ++port) {
      rig.turn();
      REQUIRE(rig.in().deliver(udp_packet(port)));
      rig.turn();
      const auto sent = rig.out().take_sent();
      REQUIRE(sent.size() == 1);
      const uint8_t to = Rig::target_of(sent[0]);
      if (round == 0) target[port] = to, ++share[to];
      REQUIRE(target[port] == to);
    }
  }
  CHECK(share[1] > 60);
  CHECK(share[2] > 60);
  rig.check_conserved();
}

TEST_CASE("a drained target keeps its flows and gets no new ones; a target that is down keeps none") {
  Config config = two_targets();
  Rig rig(config);
  const auto send = [&](uint16_t port) {
    rig.turn();
    REQUIRE(rig.in().deliver(udp_packet(port)));
    rig.turn();
    const auto sent = rig.out().take_sent();
    return sent.size() == 1 ? Rig::target_of(sent[0]) : uint8_t{0};
  };
  std::map<uint16_t, uint8_t> before;
  for (uint16_t port = 0; port < 50; ++port) before[port] = send(port);
  config.targets[0].state = TargetState::draining;
  rig.publish(config);
  for (uint16_t port = 0; port < 50; ++port) REQUIRE(send(port) == before[port]);
  for (uint16_t port = 100; port < 150; ++port) REQUIRE(send(port) == 2);
  config.targets[0].state = TargetState::down;
  rig.publish(config);
  for (uint16_t port = 0; port < 50; ++port) REQUIRE(send(port) == 2);
  config.targets[1].state = TargetState::down;
  rig.publish(config);
  CHECK(send(1) == 0);
  CHECK(rig.drops(Reason::no_target) == 1);
  rig.check_conserved();
}

TEST_CASE("flows that control wants forgotten go between turns, a few each, and choose anew") {
  Config config = two_targets();
  Rig rig(config);
  const auto send = [&](uint16_t port) {
    rig.turn();
    REQUIRE(rig.in().deliver(udp_packet(port)));
    rig.turn();
    const auto sent = rig.out().take_sent();
    return sent.size() == 1 ? Rig::target_of(sent[0]) : uint8_t{0};
  };
  for (uint16_t port = 0; port < 300; ++port) send(port);
  const FlowReader reader = rig.flows().reader();
  std::vector<FlowHandle> found;
  for (uint32_t slot = 0; slot < reader.slots(); ++slot) {
    const auto flow = reader.read(slot, rig.now_ns_);
    if (flow && flow->target.id == 0) found.push_back(flow->handle);
  }
  const size_t count = found.size();
  REQUIRE(count > kFlushFlowsMax);
  CHECK(rig.worker().sleep_max_ns(rig.now_ns_) == kSleepMaxNs);
  rig.flush().expect_more(true);
  CHECK(rig.worker().sleep_max_ns(rig.now_ns_) < kSleepMaxNs);
  rig.flush().post(found);
  CHECK(rig.worker().sleep_max_ns(rig.now_ns_) <= kSweepBucketEveryNs);
  rig.turn();
  CHECK(rig.flush().removed() == kFlushFlowsMax);
  CHECK_FALSE(rig.flush().is_idle());
  for (int i = 0; i < 10; ++i) rig.turn();
  CHECK(rig.flush().is_idle());
  CHECK(rig.flush().removed() == count);
  rig.flush().expect_more(false);
  CHECK(rig.worker().sleep_max_ns(rig.now_ns_) == kSleepMaxNs);
  CHECK(reader.counter(FlowCounter::live) == 300 - count);
  config.targets[0].state = TargetState::draining;
  rig.publish(config);
  for (uint16_t port = 0; port < 300; ++port) CHECK(send(port) == 2);
  rig.check_conserved();
}

TEST_CASE("a fragment that comes before the first is held and leaves when that came") {
  Rig rig;
  rig.turn();
  REQUIRE(rig.in().deliver(fragment(7, false)));
  rig.turn();
  CHECK(rig.out().sent().empty());
  CHECK(rig.counters().held.get() == 1);
  rig.check_conserved();
  REQUIRE(rig.in().deliver(fragment(7, true)));
  rig.turn();
  const auto sent = rig.out().take_sent();
  REQUIRE(sent.size() == 2);
  CHECK(Rig::target_of(sent[0]) == Rig::target_of(sent[1]));
  CHECK(rig.counters().held.get() == 0);
  rig.check_conserved();
  // A later one of the same datagram follows at once.
  REQUIRE(rig.in().deliver(fragment(7, false)));
  rig.turn();
  CHECK(Rig::target_of(rig.out().sent()[0]) == Rig::target_of(sent[0]));
}

TEST_CASE(
    "fragments go alike whether they come in one batch or one by one, also where an identification is used again") {
  // Two datagrams of one identification, of flows that go to different targets: what came before the first one's
  // first fragment is the first one's.
  const auto piece = [](uint16_t port, unsigned offset) {
    test::Ipv4Options options;
    options.id = 7;
    options.fragment = offset == 0 ? 0x2000 : offset;
    return as_bytes(test::ether(0x0800) + test::ipv4(IPPROTO_UDP, test::udp(port, 53, test::fill(24)), options));
  };
  const auto target_of_port = [&](uint16_t port) {
    Rig rig;
    rig.turn();
    REQUIRE(rig.in().deliver(udp_packet(port)));
    rig.turn();
    return Rig::target_of(rig.out().sent()[0]);
  };
  uint16_t other = 2;
  while (target_of_port(other) == target_of_port(1)) ++other;
  const std::vector<std::vector<std::byte>> orders[] = {
      {piece(1, 4), piece(1, 0), piece(other, 0)},
      {piece(1, 4), piece(1, 0), piece(1, 5), piece(other, 0), piece(other, 6)},
      {piece(1, 0), piece(other, 0), piece(other, 4)},
      {piece(1, 0), piece(1, 4), piece(other, 0), piece(other, 4)},
  };
  for (const auto& order : orders) {
    std::map<std::vector<std::byte>, uint8_t> one_by_one, at_once;
    for (auto* sent : {&one_by_one, &at_once}) {
      Rig rig;
      rig.turn();
      for (const auto& packet : order) {
        REQUIRE(rig.in().deliver(packet));
        if (sent == &one_by_one) rig.turn();
      }
      rig.turn();
      for (const auto& packet : rig.out().sent()) {
        (*sent)[{packet.bytes.begin() + 12, packet.bytes.end()}] = Rig::target_of(packet);
      }
      rig.check_conserved();
    }
    REQUIRE(at_once.size() == order.size());
    CHECK(at_once == one_by_one);
  }
}

TEST_CASE("a held fragment whose first one never comes is dropped in time, and at the end") {
  Rig rig;
  rig.turn();
  REQUIRE(rig.in().deliver(fragment(7, false)));
  rig.turn();
  rig.turn(HeldLimits().wait_ns);
  CHECK(rig.drops(Reason::fragment_timeout) == 1);
  rig.check_conserved();
  REQUIRE(rig.in().deliver(fragment(8, false)));
  rig.turn();
  rig.worker().drop_held();
  CHECK(rig.drops(Reason::shutdown) == 1);
  rig.check_conserved();
}

TEST_CASE("what is malformed or longer than the egress MTU is dropped for its reason") {
  Rig rig(two_targets(), 100);
  rig.turn();
  REQUIRE(rig.in().deliver(std::vector<std::byte>(60)));
  REQUIRE(rig.in().deliver(udp_packet(1, 72)));
  REQUIRE(rig.in().deliver(udp_packet(1, 73)));
  rig.turn();
  CHECK(rig.out().sent().size() == 1);
  CHECK(rig.drops(Reason::not_ip) == 1);
  CHECK(rig.drops(Reason::too_big) == 1);
  rig.check_conserved();
}

TEST_CASE("a stalled peer costs packets, counted, and never the receiving; afterwards all is as before") {
  Rig rig;
  rig.out().set_completion(FakePort::Completion::withheld);
  uint32_t delivered = 0;
  for (int i = 0; i < 400; ++i) {
    rig.turn();
    delivered += rig.in().deliver(udp_packet(static_cast<uint16_t>(i))) ? 1 : 0;
  }
  rig.turn();
  CHECK(delivered == 400);
  CHECK(rig.drops(Reason::tx_full) > 200);
  rig.check_conserved();
  rig.out().set_completion(FakePort::Completion::at_once);
  for (int i = 0; i < 20; ++i) {
    rig.out().complete_shuffled(static_cast<uint64_t>(i));
    rig.turn();
  }
  const uint64_t dropped = rig.counters().dropped();
  const uint64_t sent = rig.counters().tx.get();
  for (int i = 0; i < 100; ++i) {
    rig.turn();
    REQUIRE(rig.in().deliver(udp_packet(static_cast<uint16_t>(i))));
  }
  rig.turn();
  CHECK(rig.counters().tx.get() == sent + 100);
  CHECK(rig.counters().dropped() == dropped);
  rig.check_conserved();
}

TEST_CASE("a tail that the kernel did not take at once is sent on a later turn without a packet to push it") {
  Rig rig;
  rig.turn();
  REQUIRE(rig.in().deliver(udp_packet(1)));
  rig.out().fail_tx_kicks(EAGAIN, 3);
  rig.turn();
  CHECK(rig.worker().sleep_max_ns(rig.now_ns_) <= kSleepUnsentNs);
  for (int i = 0; i < 5 && rig.out().sent().empty(); ++i) rig.turn();
  CHECK(rig.out().sent().size() == 1);
  rig.check_conserved();
}

TEST_CASE("a large batch leaves live, a small one through the ring, and none overtakes the other") {
  Rig rig(two_targets(), 1500, true);
  rig.turn();
  uint32_t number = 0;
  const auto deliver = [&](uint32_t packets) {
    for (uint32_t i = 0; i < packets; ++i) REQUIRE(rig.in().deliver(udp_packet(static_cast<uint16_t>(number++))));
  };
  deliver(kLiveFromPackets);
  rig.turn();
  CHECK(rig.live().take_sent().size() == kLiveFromPackets);
  CHECK(rig.out().sent().empty());
  deliver(kLiveFromPackets - 1);
  rig.turn();
  CHECK(rig.live().take_sent().empty());
  CHECK(rig.out().take_sent().size() == kLiveFromPackets - 1);
  // What the kernel has not taken from the ring yet goes first, and where it cannot, all wait behind it.
  deliver(3);
  rig.out().fail_tx_kicks(EAGAIN, 1);
  rig.turn();
  rig.out().fail_tx_kicks(EAGAIN, 1);
  deliver(30);
  rig.turn(1);
  CHECK(rig.live().take_sent().empty());
  for (int i = 0; i < 5; ++i) rig.turn();
  CHECK(rig.out().take_sent().size() == 33);
  deliver(3);
  rig.out().fail_tx_kicks(EAGAIN, 1);
  rig.turn();
  deliver(30);
  rig.turn();
  CHECK(rig.out().take_sent().size() == 3);
  CHECK(rig.live().take_sent().size() == 30);
  CHECK(rig.counters().tx.get() == number);
  CHECK(rig.counters().tx_live.get() == kLiveFromPackets + 30);
  CHECK(rig.counters().live_batches.get() == 2);
  rig.check_conserved();
}

TEST_CASE("what live frames lose is dropped and counted, and its frames come back") {
  Rig rig(two_targets(), 1500, true);
  rig.turn();
  for (uint16_t i = 0; i < 40; ++i) REQUIRE(rig.in().deliver(udp_packet(i)));
  rig.live().end_early(10, ENODEV);
  rig.turn();
  CHECK(rig.counters().tx.get() == 10);
  CHECK(rig.drops(Reason::tx_error) == 30);
  rig.check_conserved();
}

TEST_CASE("random traffic and a random kernel never lose a frame") {
  const bool live = GENERATE(false, true);
  Rig rig(two_targets(), 1500, live);
  std::mt19937 random(3);
  const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  const auto one_in = [&](uint32_t n) { return below(n) == 0; };
  const int errnos[] = {EAGAIN, EBUSY, ENOBUFS, ENETDOWN};
  for (int step = 0; step < 20'000; ++step) {
    const uint32_t packets = below(live ? 60 : 20);
    for (uint32_t i = 0; i < packets; ++i) {
      std::vector<std::byte> packet = one_in(4) ? fragment(static_cast<uint16_t>(below(50)), one_in(2))
                                                : udp_packet(static_cast<uint16_t>(below(5000)));
      if (one_in(10)) packet.resize(1 + random() % packet.size());
      rig.in().deliver(packet);
    }
    if (one_in(20)) rig.live().end_early(below(40), errnos[below(4)]);
    if (one_in(20)) rig.live().refuse_one();
    if (one_in(50)) rig.out().fail_tx_kicks(errnos[below(4)], below(5));
    if (one_in(40)) rig.out().set_completion(FakePort::Completion::withheld);
    if (one_in(40)) rig.out().set_completion(FakePort::Completion::at_once);
    if (one_in(3)) rig.out().complete(below(64));
    rig.turn(below(20'000'000));
    if (step % 100 != 0) continue;
    (void)rig.out().take_sent();
    (void)rig.live().take_sent();
    rig.check_conserved();
  }
  CHECK((rig.counters().tx_live.get() != 0) == live);
  rig.check_conserved();
}

}  // namespace
}  // namespace xdplb
