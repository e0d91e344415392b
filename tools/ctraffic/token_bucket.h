// TokenBucket: paces one connection. It fills at the connection's rate and holds ten packets at most; a packet may be
// sent once it holds one. A value; the time is an argument and never goes back.
//
// Begins with less than one packet, `initial_bytes`: chosen at random, it spreads the connections over an interval.
#pragma once

#include <cstdint>

namespace xdplb::ctraffic {

class TokenBucket {
 public:
  TokenBucket(double bytes_per_s, double packet_bytes, double initial_bytes, uint64_t now_ns);

  // Takes a packet's worth; false, and nothing taken, where there is less.
  bool take(uint64_t now_ns);

  // How long until take() succeeds.
  [[nodiscard]] uint64_t wait_ns(uint64_t now_ns) const;

 private:
  [[nodiscard]] double filled(uint64_t now_ns) const;

  double bytes_per_s_;
  double packet_bytes_;
  double bytes_;
  uint64_t updated_ns_;
};

}  // namespace xdplb::ctraffic
