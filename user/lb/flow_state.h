// The life of a flow: its states, what a packet does to them, and how long each lasts. Pure functions and values.
//
// Targets answer clients directly, so only the client's half of a connection is seen. The states are therefore what
// a client can make us believe, not what the connection is, and every rule errs towards keeping a flow where it is.
#pragma once

#include <array>
#include <cstdint>

#include "user/lb/config.h"
#include "user/net/parse.h"

namespace xdplb {

// Stored in shared memory: numbers never change.
enum class FlowState : uint8_t {
  none = 0,         // no flow: a free slot
  embryonic = 1,    // a SYN and nothing since: charged to the service's embryonic budget
  unconfirmed = 2,  // first seen in mid-connection: one packet, without a SYN before it
  established = 3,  // the client has acknowledged something
  closing = 4,      // the client sent FIN
  reset = 5,        // the client sent RST
  udp = 6,
  other = 7,
};
inline constexpr uint32_t kFlowStates = 8;

const char* to_string(FlowState state);

// Deadlines are kept in ticks of 2^24 ns (16.8 ms) in 32 bits, compared modulo 2^32: exact while nothing lies further
// than 2^31 ticks (417 days) from now, which timeouts of at most 2^30 ticks and the sweeper ensure.
using Tick = uint32_t;
inline constexpr uint32_t kTickShift = 24;
inline constexpr Tick kMaxTimeoutTicks = Tick{1} << 30;

constexpr Tick to_tick(uint64_t now_ns) {
  return static_cast<Tick>(now_ns >> kTickShift);
}
constexpr bool is_before(Tick now, Tick deadline) {
  return static_cast<int32_t>(deadline - now) > 0;
}

// By state. A flow lives at least its timeout and at most two ticks longer.
struct FlowTimeouts {
  std::array<Tick, kFlowStates> ticks{};

  void set(FlowState state, uint64_t timeout_ns);
  [[nodiscard]] Tick of(FlowState state) const { return ticks[static_cast<size_t>(state)]; }
};

// What a service grants to its flows in one worker's table. Compiled into the snapshot.
struct FlowPolicy {
  FlowTimeouts timeouts;
  uint32_t flows_max = 0;      // flows in all
  uint32_t embryonic_max = 0;  // of these, embryonic ones
};
FlowPolicy make_flow_policy(const Service& service, uint32_t flows);

// The state in which a flow is entered, from its first packet. none: not worth an entry (a FIN or RST of a flow that
// we do not know: nothing will follow).
FlowState first_state(uint8_t protocol, uint8_t tcp_flags);

// Whether a packet for a live flow begins a new one under the same ports: a SYN after FIN or RST. Its target is then
// chosen anew.
constexpr bool is_syn(uint8_t tcp_flags) {
  return (tcp_flags & (kTcpSyn | kTcpAck | kTcpRst | kTcpFin)) == kTcpSyn;
}
constexpr bool starts_anew(FlowState state, uint8_t tcp_flags) {
  return is_syn(tcp_flags) && (state == FlowState::closing || state == FlowState::reset);
}

// A live flow's state after a further packet of it.
constexpr FlowState next_state(FlowState state, uint8_t tcp_flags) {
  if (state == FlowState::udp || state == FlowState::other) return state;
  if ((tcp_flags & kTcpRst) != 0) return FlowState::reset;
  // A retransmission, or someone who guesses: neither proves anything, and the target answers it as it should.
  if ((tcp_flags & kTcpSyn) != 0) return state;
  if ((tcp_flags & kTcpFin) != 0) return FlowState::closing;
  // After FIN a client acknowledges for as long as the target still sends: each packet renews the short timeout.
  if (state == FlowState::closing || (tcp_flags & kTcpAck) == 0) return state;
  // Also out of `reset`: a client that goes on after an RST did not send it (or its target did not accept it), and a
  // forged one must not cost a connection its entry.
  return FlowState::established;
}

// FIN, SYN, RST, PSH, ACK, the lower five bits: all that a state depends on.
inline constexpr uint32_t kTcpFlagBits = 5;
// By state, and in it a bit for each combination of those flags: whether a packet that has them leaves the flow in
// its state, and is no reason to choose anew.
inline constexpr auto kStayingFlags = [] {
  std::array<uint32_t, kFlowStates> table{};
  for (uint32_t state = 1; state < kFlowStates; ++state) {
    for (uint32_t flags = 0; flags < 1u << kTcpFlagBits; ++flags) {
      const auto before = static_cast<FlowState>(state);
      const bool stays = next_state(before, static_cast<uint8_t>(flags)) == before &&
                         !starts_anew(before, static_cast<uint8_t>(flags));
      table[state] |= uint32_t{stays} << flags;
    }
  }
  return table;
}();

// Never, where there is no flow.
inline bool stays(FlowState state, uint8_t tcp_flags) {
  return (kStayingFlags[static_cast<size_t>(state)] & 1u << (tcp_flags & ((1u << kTcpFlagBits) - 1))) != 0;
}

}  // namespace xdplb
