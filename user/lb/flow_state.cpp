#include "user/lb/flow_state.h"

#include <netinet/in.h>

#include <algorithm>

namespace xdplb {
namespace {

constexpr uint64_t kNsPerSecond = 1'000'000'000;

uint32_t percent_of(uint32_t flows, uint32_t percent) {
  return std::max(1u, static_cast<uint32_t>(uint64_t{flows} * percent / 100));
}

}  // namespace

const char* to_string(FlowState state) {
  switch (state) {
    case FlowState::none: return "none";
    case FlowState::embryonic: return "syn";
    case FlowState::unconfirmed: return "unconfirmed";
    case FlowState::established: return "established";
    case FlowState::closing: return "fin";
    case FlowState::reset: return "rst";
    case FlowState::udp: return "udp";
    case FlowState::other: return "other";
  }
  return "invalid";
}

// Rounded up, and one more because the tick in which the packet came has partly gone by.
void FlowTimeouts::set(FlowState state, uint64_t timeout_ns) {
  const uint64_t whole = (timeout_ns >> kTickShift) + ((timeout_ns & ((uint64_t{1} << kTickShift) - 1)) != 0);
  ticks[static_cast<size_t>(state)] = static_cast<Tick>(std::min<uint64_t>(whole + 1, kMaxTimeoutTicks));
}

FlowPolicy make_flow_policy(const Service& service, uint32_t flows) {
  const Timeouts& t = service.timeouts;
  FlowPolicy policy;
  policy.timeouts.set(FlowState::embryonic, t.tcp_syn_s * kNsPerSecond);
  policy.timeouts.set(FlowState::unconfirmed, t.tcp_syn_s * kNsPerSecond);
  policy.timeouts.set(FlowState::established, t.tcp_established_s * kNsPerSecond);
  policy.timeouts.set(FlowState::closing, t.tcp_fin_s * kNsPerSecond);
  policy.timeouts.set(FlowState::reset, t.tcp_rst_s * kNsPerSecond);
  policy.timeouts.set(FlowState::udp, t.udp_s * kNsPerSecond);
  policy.timeouts.set(FlowState::other, t.other_s * kNsPerSecond);
  policy.flows_max = percent_of(flows, service.flow_quota_percent);
  policy.embryonic_max = percent_of(flows, service.embryonic_quota_percent);
  return policy;
}

// A packet in mid-connection (we were started late, or another balancer had the flow) is not charged to the embryonic
// budget: under a SYN flood, which fills that, a client's ACK still gets its flow entered. It gets the short timeout
// of a SYN until a second packet comes, so a flood of single ACKs leaves nothing behind for long.
FlowState first_state(uint8_t protocol, uint8_t tcp_flags) {
  if (protocol == IPPROTO_UDP) return FlowState::udp;
  if (protocol != IPPROTO_TCP) return FlowState::other;
  if (is_syn(tcp_flags)) return FlowState::embryonic;
  if ((tcp_flags & (kTcpFin | kTcpRst)) != 0) return FlowState::none;
  return FlowState::unconfirmed;
}

}  // namespace xdplb
