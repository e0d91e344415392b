// Any bytes as statistics: an error, or values that can be printed.
#include "tests/fuzz/fuzz.h"
#include "user/base/check.h"
#include "user/ctl/stats_wire.h"

XDPLB_FUZZ_TARGET(stats_wire) {
  using namespace xdplb;
  const auto stats = decode_stats(std::span(data, size));
  if (!stats) return;
  XDPLB_CHECK(stats->workers.size() + stats->targets.size() + stats->services.size() <= size);
  XDPLB_CHECK(!stats_to_json(*stats).empty());
  XDPLB_CHECK(!stats_to_text(*stats).empty());
}
