#include "user/base/random.h"

#include <sys/random.h>

namespace xdplb {

Result<uint64_t> random_secret() {
  uint64_t secret = 0;
  if (getrandom(&secret, sizeof secret, 0) != sizeof secret) return fail_errno(errno, "Cannot draw a random number");
  return secret;
}

}  // namespace xdplb
