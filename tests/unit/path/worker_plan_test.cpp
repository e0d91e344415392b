#include "user/path/worker_plan.h"

#include <catch2/catch.hpp>
#include <set>

#include "user/base/limits.h"

namespace xdplb {
namespace {

using Queues = std::vector<uint32_t>;

// "0,2>0 1>1=": ingress > egress queue, `=` where the port is shared.
std::string text(const Result<std::vector<WorkerShare>>& shares) {
  if (!shares) return shares.error().message;
  std::string text;
  for (const WorkerShare& share : *shares) {
    text += fmt::format("{}{}>{}{}", text.empty() ? "" : " ", fmt::join(share.ingress, ","), share.egress_queue,
                        share.shared ? "=" : "");
  }
  return text;
}

TEST_CASE("two-arm: as many workers as the narrower side has queues") {
  CHECK(text(share_two_arm(1, 1)) == "0>0");
  CHECK(text(share_two_arm(2, 4)) == "0>0 1>1");
  CHECK(text(share_two_arm(5, 2)) == "0,2,4>0 1,3>1");
}

TEST_CASE("one-arm: a queue is sent from by who receives from it, and one without a transmit side joins others") {
  CHECK(text(share_one_arm({0, 1}, 2)) == "0>0= 1>1=");
  CHECK(text(share_one_arm({0, 1, 2}, 1)) == "0,1,2>0=");
  CHECK(text(share_one_arm({0, 1, 2, 3, 4}, 2)) == "0,2,4>0= 1,3>1=");
}

TEST_CASE("one-arm: served queues without a transmit side send from one that is not served") {
  CHECK(text(share_one_arm({2}, 1)) == "0>0");
  CHECK(text(share_one_arm({1, 2}, 2)) == "0>1= 1>0");
  CHECK(text(share_one_arm({2, 3, 4}, 2)) == "0,2>0 1>1");
}

TEST_CASE("one-arm: each queue is received from once and sent from at most once, for all small devices") {
  for (uint32_t rx = 1; rx <= 6; ++rx) {
    for (uint32_t tx = 1; tx <= 6; ++tx) {
      for (uint32_t mask = 1; mask < 1U << rx; ++mask) {
        Queues served;
        for (uint32_t queue = 0; queue < rx; ++queue) {
          if ((mask >> queue & 1) != 0) served.push_back(queue);
        }
        const auto shares = share_one_arm(served, tx);
        REQUIRE(shares);
        std::multiset<uint32_t> received;
        std::set<uint32_t> sent;
        for (const WorkerShare& share : *shares) {
          REQUIRE_FALSE(share.ingress.empty());
          received.insert(share.ingress.begin(), share.ingress.end());
          REQUIRE(share.egress_queue < tx);
          REQUIRE(sent.insert(share.egress_queue).second);
          // Shared means the worker's own first queue; not shared, that nobody receives from it.
          const bool is_served = (mask >> share.egress_queue & 1) != 0;
          REQUIRE(share.shared == is_served);
          if (share.shared) REQUIRE(served[share.ingress[0]] == share.egress_queue);
        }
        REQUIRE(received.size() == served.size());
        REQUIRE(std::set(received.begin(), received.end()).size() == served.size());
        REQUIRE(shares->size() == std::min<size_t>(served.size(), tx));
      }
    }
  }
}

TEST_CASE("a worker has at most as many queues as it can wait for") {
  CHECK(share_two_arm(kMaxQueues, 1));
  CHECK(text(share_two_arm(2 * kMaxQueues, 1)) ==
        "Too many receive queues for 1 egress queue: a worker would have to serve 128, at most 64; choose fewer with "
        "`ethtool -L DEV` or --queue");
}

}  // namespace
}  // namespace xdplb
