// The states of a flow: every state against every packet that matters.
#include "user/lb/flow_state.h"

#include <netinet/in.h>

#include <catch2/catch.hpp>

#include "user/net/parse.h"

namespace xdplb {
namespace {

using enum FlowState;

constexpr uint8_t kSynAck = kTcpSyn | kTcpAck;
constexpr uint8_t kFinAck = kTcpFin | kTcpAck;
constexpr uint8_t kRstAck = kTcpRst | kTcpAck;

}  // namespace

TEST_CASE("flow state: the first packet", "[flow]") {
  CHECK(first_state(IPPROTO_TCP, kTcpSyn) == embryonic);
  CHECK(first_state(IPPROTO_TCP, kTcpAck) == unconfirmed);
  CHECK(first_state(IPPROTO_TCP, kSynAck) == unconfirmed);
  CHECK(first_state(IPPROTO_TCP, 0) == unconfirmed);
  CHECK(first_state(IPPROTO_TCP, kTcpFin) == none);
  CHECK(first_state(IPPROTO_TCP, kFinAck) == none);
  CHECK(first_state(IPPROTO_TCP, kTcpRst) == none);
  CHECK(first_state(IPPROTO_TCP, kTcpSyn | kTcpFin) == none);
  CHECK(first_state(IPPROTO_UDP, 0) == udp);
  CHECK(first_state(IPPROTO_SCTP, 0) == other);
  CHECK(first_state(IPPROTO_ICMP, 0) == other);
}

TEST_CASE("flow state: a further packet", "[flow]") {
  struct Row {
    FlowState before, syn, ack, nothing, fin, rst;
  };
  const Row rows[] = {
      {embryonic, embryonic, established, embryonic, closing, reset},
      {unconfirmed, unconfirmed, established, unconfirmed, closing, reset},
      {established, established, established, established, closing, reset},
      {closing, closing, closing, closing, closing, reset},
      {reset, reset, established, reset, closing, reset},
      {udp, udp, udp, udp, udp, udp},
      {other, other, other, other, other, other},
  };
  for (const Row& r : rows) {
    INFO(to_string(r.before));
    CHECK(next_state(r.before, kTcpSyn) == r.syn);
    CHECK(next_state(r.before, kTcpAck) == r.ack);
    CHECK(next_state(r.before, 0) == r.nothing);
    CHECK(next_state(r.before, kTcpFin) == r.fin);
    CHECK(next_state(r.before, kFinAck) == r.fin);
    CHECK(next_state(r.before, kTcpRst) == r.rst);
    CHECK(next_state(r.before, kRstAck) == r.rst);
    CHECK(starts_anew(r.before, kTcpSyn) == (r.before == closing || r.before == reset));
    CHECK_FALSE(starts_anew(r.before, kSynAck));
    CHECK_FALSE(starts_anew(r.before, kTcpAck));
    CHECK_FALSE(starts_anew(r.before, kTcpSyn | kTcpRst));
    CHECK(stays(r.before, kTcpSyn) == (r.before != closing && r.before != reset));
    CHECK(stays(r.before, kTcpAck) == (r.ack == r.before));
    CHECK(stays(r.before, 0) == (r.nothing == r.before));
    CHECK(stays(r.before, kTcpFin) == (r.fin == r.before));
    CHECK(stays(r.before, kRstAck) == (r.rst == r.before));
  }
}

TEST_CASE("flow state: nothing stays in a free entry; flags that no state depends on change nothing", "[flow]") {
  for (uint32_t flags = 0; flags < 256; ++flags) {
    CHECK_FALSE(stays(FlowState::none, static_cast<uint8_t>(flags)));
    for (const FlowState state : {embryonic, unconfirmed, established, closing, reset, udp, other}) {
      CHECK(stays(state, static_cast<uint8_t>(flags)) == stays(state, static_cast<uint8_t>(flags & 0x1f)));
    }
  }
}

TEST_CASE("flow state: a timeout is never short and at most two ticks long", "[flow]") {
  FlowTimeouts timeouts;
  constexpr uint64_t kTickNs = uint64_t{1} << kTickShift;
  for (const uint64_t timeout_ns : {uint64_t{1}, kTickNs - 1, kTickNs, kTickNs + 1, uint64_t{900'000'000'000}}) {
    timeouts.set(established, timeout_ns);
    for (const uint64_t start_ns : {uint64_t{0}, kTickNs - 1, uint64_t{0xffffffff} * kTickNs + 5}) {
      const Tick deadline = to_tick(start_ns) + timeouts.of(established);
      CHECK(is_before(to_tick(start_ns + timeout_ns - 1), deadline));
      CHECK_FALSE(is_before(to_tick(start_ns + timeout_ns + 2 * kTickNs), deadline));
    }
  }
  timeouts.set(udp, ~uint64_t{0});
  CHECK(timeouts.of(udp) == kMaxTimeoutTicks);
}

TEST_CASE("flow state: a service's settings become a policy", "[flow]") {
  Service service;
  service.timeouts.tcp_established_s = 900;
  service.flow_quota_percent = 50;
  service.embryonic_quota_percent = 10;
  const FlowPolicy policy = make_flow_policy(service, 1000);
  CHECK(policy.flows_max == 500);
  CHECK(policy.embryonic_max == 100);
  CHECK(uint64_t{policy.timeouts.of(established)} << kTickShift > 900'000'000'000);
  CHECK(uint64_t{policy.timeouts.of(established)} << kTickShift < 901'000'000'000);
  CHECK(policy.timeouts.of(reset) < policy.timeouts.of(closing));
  for (uint32_t s = 1; s < kFlowStates; ++s) CHECK(policy.timeouts.ticks[s] > 1);
}

}  // namespace xdplb
