// Any bytes as a slot of the shared memory, of either layout: an error, or a Config that is no larger than the bytes,
// can be judged, and, where it is valid, is the same after another trip.
#include "tests/fuzz/fuzz.h"
#include "user/base/check.h"
#include "user/ctl/config_wire.h"

namespace {

using namespace xdplb;

void try_layout(std::span<const uint8_t> bytes, uint32_t layout) {
  const auto config = decode_config(bytes, layout);
  if (!config) return;
  size_t records = config->targets.size() + config->services.size() + config->lb_tier.members.size();
  for (const Service& service : config->services) {
    records += service.vips.size() + service.targets.size() + service.listen.size();
    for (const Listen& listen : service.listen) records += listen.ports.size();
  }
  XDPLB_CHECK(records <= bytes.size());
  if (!validate_config(*config)) return;
  const auto again = decode_config(encode_config(*config, layout), layout);
  XDPLB_CHECK(again && *again == *config);
}

}  // namespace

XDPLB_FUZZ_TARGET(config_wire) {
  for (uint32_t layout = kConfigLayoutOldest; layout <= kConfigLayoutVersion; ++layout) {
    try_layout(std::span(data, size), layout);
  }
}
