#include "tools/common/resources.h"

#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

namespace xdplb::tools {

uint64_t raise_descriptor_limit(uint64_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  rlimit raised = limit;
  raised.rlim_cur = limit.rlim_max;
  if (wanted > limit.rlim_max) {
    const rlimit both{wanted, wanted};
    if (::setrlimit(RLIMIT_NOFILE, &both) == 0) return wanted;
  }
  return ::setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
}

Result<void> check_descriptor_limit(uint64_t needed, uint64_t limit, std::string_view why) {
  if (needed <= limit) return {};
  return fail("{} needs {} file descriptors, but RLIMIT_NOFILE allows {}: raise it (ulimit -Hn {})", why, needed,
              limit, needed);
}

Result<std::string> host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return fail_errno(errno, "gethostname");
  return std::string(name.data());
}

}  // namespace xdplb::tools
