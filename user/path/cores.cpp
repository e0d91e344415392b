#include "user/path/cores.h"

#include <fmt/ranges.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>

namespace xdplb {
namespace {

cpu_set_t set_of(std::span<const int> cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : cores) CPU_SET(static_cast<size_t>(core), &set);
  return set;
}

// As they were when this was called first: keep_off_cores narrows what the kernel says afterwards.
const std::vector<int>& given_cores() {
  static const std::vector<int> given = [] {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    std::vector<int> cores;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return cores;
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(static_cast<size_t>(core), &allowed)) cores.push_back(core);
    }
    return cores;
  }();
  return given;
}

bool is_one_of(int core, std::span<const int> cores) {
  return std::find(cores.begin(), cores.end(), core) != cores.end();
}

// Asks the kernel, which alone knows of cpusets and of cores that are off.
bool can_be_had(int core) {
  if (core < 0 || core >= CPU_SETSIZE) return false;
  cpu_set_t before;
  if (sched_getaffinity(0, sizeof before, &before) != 0) return false;
  const cpu_set_t alone = set_of(std::span(&core, 1));
  const bool can = sched_setaffinity(0, sizeof alone, &alone) == 0;
  sched_setaffinity(0, sizeof before, &before);
  return can;
}

}  // namespace

Result<std::vector<int>> worker_cores(std::span<const int> wanted) {
  const std::vector<int>& given = given_cores();
  if (given.empty()) return fail("Cannot ask which cores we may use");
  for (const int core : wanted) {
    if (is_one_of(core, given) || can_be_had(core)) continue;
    return fail("Invalid --cpus [{}]: this process may use {}", core, fmt::join(given, ","));
  }
  return wanted.empty() ? given : std::vector<int>(wanted.begin(), wanted.end());
}

void keep_off_cores(std::span<const int> workers) {
  const std::vector<int>& given = given_cores();
  std::vector<int> left;
  for (const int core : given) {
    if (!is_one_of(core, workers)) left.push_back(core);
  }
  const cpu_set_t set = set_of(left.empty() ? given : left);
  // Where the kernel does not let us, we stay where we are: it is a kindness to the workers, no more.
  (void)sched_setaffinity(0, sizeof set, &set);
}

}  // namespace xdplb
