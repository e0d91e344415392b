// Floods: whoever sends 10 million SYNs, ACKs or datagrams of made-up clients harms no flow that is established, and
// keeps no other service from entering its own.
#include <catch2/catch.hpp>

#include "tests/support/flow_fixture.h"
#include "user/net/parse.h"

namespace xdplb {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint32_t kPackets = 300'000;
#else
constexpr uint32_t kPackets = 10'000'000;
#endif

constexpr uint32_t kFlows = 1u << 16;
constexpr uint16_t kVictim = 1, kNeighbour = 2;
constexpr uint32_t kVictimFlows = 5000, kNeighbourFlows = 20'000;
constexpr uint32_t kFirstAttacker = 1'000'000;

class Flood {
 public:
  Flood() : memory_(kFlows), table_(*FlowTable::create(memory_.bytes(), kFlows, 0x5eed)) {
    for (uint32_t n = 0; n < kVictimFlows + kNeighbourFlows; ++n) {
      REQUIRE(packet(n, kTcpSyn) == FlowOutcome::entered);
      packet(n, kTcpAck);
    }
  }

  // As a worker treats a packet: the outcome of entering it, or `existed` where it was known.
  FlowOutcome packet(uint32_t n, uint8_t flags, uint8_t protocol = 6) {
    const FlowKey key = flow_key(n, protocol);
    const uint64_t hash = table_.hash(key);
    if (const FlowHit hit = table_.find(hash, now_ns_)) {
      table_.touch(hit, flags, policy_, now_ns_);
      return FlowOutcome::existed;
    }
    return table_
        .enter(hash, key, flags, {.target = {.id = 1, .epoch = 1}, .service = service_of_client(n)}, policy_, now_ns_)
        .outcome;
  }

  // A million packets a second, and a sweep as a worker makes it: a few buckets for each batch of 64.
  void flood(uint8_t flags, uint8_t protocol) {
    for (uint32_t i = 0; i < kPackets; ++i) {
      packet(kFirstAttacker + i, flags, protocol);
      now_ns_ += 1000;
      if (i % 64 == 0) table_.sweep(4, now_ns_);
    }
  }

  void check_established() {
    uint32_t found = 0;
    for (uint32_t n = 0; n < kVictimFlows + kNeighbourFlows; ++n) {
      const FlowHit hit = table_.find(table_.hash(flow_key(n)), now_ns_);
      found += hit && hit.state == FlowState::established;
    }
    CHECK(found == kVictimFlows + kNeighbourFlows);
  }

  // Clients that come during the flood, SYN and ACK.
  void check_newcomers(uint32_t first, uint32_t step, bool syn_is_entered) {
    for (uint32_t n = first; n < first + 100 * step; n += step) {
      const FlowOutcome syn = packet(n, kTcpSyn);
      CHECK(syn == (syn_is_entered ? FlowOutcome::entered : FlowOutcome::refused_embryonic));
      packet(n, kTcpAck);
      packet(n, kTcpAck);
      CHECK(table_.find(table_.hash(flow_key(n)), now_ns_).state == FlowState::established);
    }
  }

  static uint16_t service_of_client(uint32_t n) { return n < kVictimFlows || n >= 500'000 ? kVictim : kNeighbour; }

  FlowMemory memory_;
  FlowTable table_;
  FlowPolicy policy_ = test_policy(kFlows / 2, kFlows / 10);
  uint64_t now_ns_ = 1000 * kSecond;
};

constexpr uint32_t kNewNeighbours = 100'000, kNewVictims = 600'000;

}  // namespace

TEST_CASE("flow flood: SYNs stay in their budget; clients who mean it are entered with their ACK", "[flow][flood]") {
  Flood f;
  f.flood(kTcpSyn, 6);
  f.check_established();
  CHECK(f.table_.reader().embryonic_of_service(kVictim) == kFlows / 10);
  CHECK(f.table_.reader().live_of_service(kVictim) == kVictimFlows + kFlows / 10);
  f.check_newcomers(kNewNeighbours, 1, true);
  f.check_newcomers(kNewVictims, 1, false);
  CHECK(f.table_.reader().counter(FlowCounter::refused_full) == 0);
}

TEST_CASE("flow flood: ACKs and datagrams stay in the service's quota", "[flow][flood]") {
  const uint8_t protocol = GENERATE(uint8_t{6}, uint8_t{17});
  Flood f;
  f.flood(kTcpAck, protocol);
  f.check_established();
  CHECK(f.table_.reader().live_of_service(kVictim) == kFlows / 2);
  f.check_newcomers(kNewNeighbours, 1, true);
  // When it is over, what it left goes by itself.
  f.now_ns_ += 70 * kSecond;
  f.table_.sweep(~0u, f.now_ns_);
  CHECK(f.table_.reader().live_of_service(kVictim) == kVictimFlows);
  f.check_established();
}

}  // namespace xdplb
