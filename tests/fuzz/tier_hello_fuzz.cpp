// Any bytes as a hello of another balancer: none, or one that is the same after another trip.
#include "tests/fuzz/fuzz.h"
#include "user/base/check.h"
#include "user/lb/tier_watch.h"

XDPLB_FUZZ_TARGET(tier_hello) {
  using namespace xdplb;
  const auto hello = decode_hello(std::span(data, size));
  if (!hello) return;
  const auto again = decode_hello(encode_hello(*hello));
  XDPLB_CHECK(again && *again == *hello);
}
