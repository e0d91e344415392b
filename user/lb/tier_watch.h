// TierWatch: which balancers of our tier live. Pure: what was heard goes in with the time, what to say and who lives
// come out. The control thread's (user/path/tier_control.h).
//
// Each balancer that serves says hello to each other one, several times a second, from its ingress device to theirs:
// the way that fragments take. A member lives while it is heard, has the same members and seed as we, and hears us.
// So whatever is broken, a device, a daemon, a switch or a configuration, and in whichever direction, fragments stay
// where they came, which is right but for those that the routers scatter; they are never sent where nobody is.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <vector>

#include "user/lb/tier.h"

namespace xdplb {

struct TierHello {
  uint64_t agreement = 0;  // Tier::agreement()
  TierMask hears = 0;
  bool leaves = false;  // the last one: it stops serving
  friend bool operator==(const TierHello&, const TierHello&) = default;
};

// The payload of its frame, which has an EtherType for local experiments (IEEE 802). Big-endian.
inline constexpr uint16_t kTierEtherType = 0x88b5;
using TierHelloBytes = std::array<uint8_t, 46>;  // the least that an Ethernet frame carries
TierHelloBytes encode_hello(const TierHello& hello);
// Nothing where it is none, or of a version that we do not know. Frames come padded.
std::optional<TierHello> decode_hello(std::span<const uint8_t> bytes);

inline constexpr uint64_t kTierHelloEveryNs = 200'000'000;
inline constexpr uint64_t kTierGoneAfterNs = 1'000'000'000;

class TierWatch {
 public:
  explicit TierWatch(const Tier& tier) : tier_(tier), peers_(tier.size()) {}

  // False where it is no news from a member: not one of us.
  bool heard(const MacAddr& source, const TierHello& hello, uint64_t now_ns);

  // What to say.
  [[nodiscard]] TierHello hello(uint64_t now_ns) const;
  // The members that fragments may be handed to. Never ourselves.
  [[nodiscard]] TierMask live(uint64_t now_ns) const;
  // Those that are heard but would choose other owners than we.
  [[nodiscard]] TierMask disagreeing(uint64_t now_ns) const;

  [[nodiscard]] const Tier& tier() const { return tier_; }

 private:
  struct Peer {
    std::optional<uint64_t> heard_ns;
    TierHello last;
  };
  template <typename Holds>
  [[nodiscard]] TierMask peers_where(uint64_t now_ns, Holds holds) const;

  Tier tier_;
  std::vector<Peer> peers_;  // by member
};

}  // namespace xdplb
