#include "user/path/cores.h"

#include <sched.h>

#include <catch2/catch.hpp>
#include <string>
#include <thread>

namespace xdplb {
namespace {

std::vector<int> cores_now() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  REQUIRE(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(static_cast<size_t>(core), &allowed)) cores.push_back(core);
  }
  return cores;
}

TEST_CASE("cores: the workers get what was asked for, else all, and nothing that there is not") {
  const std::vector<int> given = cores_now();
  CHECK(worker_cores({}).value() == given);
  const std::vector<int> last{given.back()};
  CHECK(worker_cores(last).value() == last);
  for (const int none : {-1, 1023, 100'000}) {
    const std::vector<int> wanted{given.front(), none};
    const auto refused = worker_cores(wanted);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.starts_with("Invalid --cpus [" + std::to_string(none) + "]: this process may use"));
  }
  CHECK(cores_now() == given);
}

TEST_CASE("cores: the control thread keeps off those of the workers while any is left, and comes back") {
  // A thread of its own: the test program goes on everywhere.
  std::thread([] {
    const std::vector<int> given = worker_cores({}).value();
    const std::vector<int> others(given.begin() + 1, given.end());
    keep_off_cores(std::vector{given.front()});
    CHECK(cores_now() == (others.empty() ? given : others));
    // A core that this thread was kept off can be had for a worker all the same.
    CHECK(worker_cores(std::vector{given.front()}).has_value());
    keep_off_cores(given);
    CHECK(cores_now() == given);
  }).join();
}

}  // namespace
}  // namespace xdplb
