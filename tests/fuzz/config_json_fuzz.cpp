// Any text as a configuration file: refused with words, or a valid configuration that survives export and import.
#include "tests/fuzz/fuzz.h"
#include "user/base/check.h"
#include "user/ctl/config_json.h"

XDPLB_FUZZ_TARGET(config_json) {
  using namespace xdplb;
  const auto config = config_from_json({reinterpret_cast<const char*>(data), size});
  if (!config) {
    XDPLB_CHECK(!config.error().message.empty());
    return;
  }
  XDPLB_CHECK(validate_config(*config));
  const auto again = config_from_json(config_to_json(*config));
  XDPLB_CHECK(again && *again == *config);
}
