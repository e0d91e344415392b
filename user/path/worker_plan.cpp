#include "user/path/worker_plan.h"

#include <algorithm>

#include "user/base/limits.h"

namespace xdplb {
namespace {

Result<std::vector<WorkerShare>> check_shares(std::vector<WorkerShare> shares) {
  for (const WorkerShare& share : shares) {
    if (share.ingress.size() <= kMaxQueues) continue;
    return fail(
        "Too many receive queues for {} egress queue{}: a worker would have to serve {}, at most {}; choose "
        "fewer with `ethtool -L DEV` or --queue",
        shares.size(), shares.size() == 1 ? "" : "s", share.ingress.size(), kMaxQueues);
  }
  return shares;
}

}  // namespace

Result<std::vector<WorkerShare>> share_two_arm(uint32_t ingress_queues, uint32_t egress_queues) {
  std::vector<WorkerShare> shares(std::min(ingress_queues, egress_queues));
  for (uint32_t w = 0; w < shares.size(); ++w) shares[w].egress_queue = w;
  for (uint32_t i = 0; i < ingress_queues; ++i) shares[i % shares.size()].ingress.push_back(i);
  return check_shares(std::move(shares));
}

Result<std::vector<WorkerShare>> share_one_arm(const std::vector<uint32_t>& served, uint32_t tx_queues) {
  std::vector<WorkerShare> shares;
  std::vector<uint32_t> without;
  for (uint32_t i = 0; i < served.size(); ++i) {
    if (served[i] < tx_queues) {
      shares.push_back({{i}, served[i], true});
    } else {
      without.push_back(i);
    }
  }
  const size_t sharing = shares.size();
  for (uint32_t queue = 0; queue < tx_queues && shares.size() < sharing + without.size(); ++queue) {
    if (std::find(served.begin(), served.end(), queue) == served.end()) shares.push_back({{}, queue, false});
  }
  // First those who have nothing yet.
  for (size_t k = 0; k < without.size(); ++k) {
    shares[(sharing + k) % shares.size()].ingress.push_back(without[k]);
  }
  return check_shares(std::move(shares));
}

}  // namespace xdplb
