// A worker with one ingress and one egress port over plain memory, its clock in the test's hand, and packets for it.
#pragma once

#include <netinet/in.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "tests/support/fake_live.h"
#include "tests/support/fake_port.h"
#include "tests/support/flow_fixture.h"
#include "tests/support/packet.h"
#include "user/base/clock.h"
#include "user/path/worker.h"

namespace xdplb::testing {

inline std::vector<std::byte> as_bytes(const test::Bytes& bytes) {
  std::vector<std::byte> out(bytes.size());
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

inline std::vector<std::byte> udp_packet(uint16_t src_port, uint32_t payload_bytes = 20) {
  using test::operator+;
  return as_bytes(test::ether(0x0800) + test::ipv4(IPPROTO_UDP, test::udp(src_port, 53, test::fill(payload_bytes))));
}

// The first fragment of a datagram that `id` names, or one behind it.
inline std::vector<std::byte> fragment(uint16_t id, bool first) {
  return as_bytes(test::udp_fragment(id, first ? 0 : 4, id + 1000u));
}

inline Config two_targets() {
  Config config = make_default_config(997, 2);
  for (uint8_t i = 0; i < 2; ++i) {
    config.targets[i].mac = MacAddr{{0, 0, 0, 1, 1, static_cast<uint8_t>(i + 1)}};
    config.targets[i].state = TargetState::active;
  }
  REQUIRE(assign_identities(Config{}, config));
  return config;
}

struct RigOptions {
  uint32_t mtu = 1500;
  bool live = false;      // it may send live frames
  bool to_peers = false;  // the ingress port sends, too: to other balancers
  bool one_arm = false;   // and to the targets; with to_peers
  uint32_t ring = 64;     // entries of each, a power of two
  uint32_t turn_max = kMaxBatch;
  FrameSize frame_size = kLargeFrames;
};

class WorkerTestRig {
 public:
  static constexpr uint32_t kFlows = 4096;

  explicit WorkerTestRig(const Config& config = two_targets(), const RigOptions& options = {})
      : memory_(size_t{8} * options.ring * options.frame_size.bytes()),
        flows_(FlowTable::create(flow_memory_.bytes(), kFlows, 42).value()),
        fragments_(fragment_buckets(64)),
        area_(memory_, options.frame_size),
        pool_(area_.frames(), options.frame_size),
        in_(area_, in_options(options)),
        out_(area_, out_options(options)),
        ingress_(PortId{0}, area_, in_.rings(), in_, pool_),
        egress_(PortId{1}, area_, out_.rings(), out_, pool_),
        snapshots_(compile_snapshot(config, 1, nullptr, kFlows)),
        live_(fake_live_.run_word(), fake_live_.stage(), 7, 1518, TxChoice::automatic, fake_live_),
        worker_(parts(options)) {}

  uint32_t turn(uint64_t step_ns = 1'000'000) {
    now_ns_ += step_ns;
    return worker_.turn(now_ns_);
  }
  void check_conserved() {
    const FrameCounts counts = pool_.ledger().count();
    REQUIRE(counts.sum() == pool_.capacity());
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

  FakePort& in() { return in_; }    // what is sent here goes to other balancers
  FakePort& out() { return out_; }  // what is sent here goes to targets
  FakeLive& live() { return fake_live_; }
  Worker& worker() { return worker_; }
  WorkerCounters& counters() { return counters_; }
  FlowTable& flows() { return flows_; }
  FlushBox& flush() { return flush_; }
  uint64_t now_ns_ = kNsPerSec;
  std::atomic<TierMask> live_peers{kAllLive};

 private:
  static FakePortOptions in_options(const RigOptions& options) {
    FakePortOptions o = out_options(options);
    o.rx_size = o.fill_size = options.ring;
    if (!options.to_peers) o.tx_size = o.completion_size = 0;
    return o;
  }
  static FakePortOptions out_options(const RigOptions& options) {
    FakePortOptions o;
    o.rx_size = o.fill_size = 0;
    o.tx_size = o.completion_size = options.ring;
    return o;
  }
  WorkerParts parts(const RigOptions& options) {
    WorkerParts p;
    if (options.live) p.live = &live_;
    p.turn_max = options.turn_max;
    p.ingress.push_back({&ingress_, Heartbeat(&slot_), options.to_peers ? &ingress_ : nullptr});
    p.egress = options.one_arm ? &ingress_ : &egress_;
    p.pool = &pool_;
    p.area = area_;
    p.rules = {MacAddr{{2, 0, 0, 0, 0, 9}}, options.mtu, false};
    p.steering.flows = &flows_;
    p.steering.fragments = fragments_;
    p.steering.flush = &flush_;
    p.snapshots = &snapshots_;
    p.counters = &counters_;
    p.epoch = &epoch_;
    p.live_peers = &live_peers;
    return p;
  }

  std::vector<std::byte> memory_;
  FlowMemory flow_memory_{kFlows};
  FlowTable flows_;
  FlushBox flush_;
  std::vector<FragmentBucket> fragments_;
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

}  // namespace xdplb::testing
