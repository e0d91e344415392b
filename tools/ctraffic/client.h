// Client: the flows of a run, its totals, a sample of them each second, and the monitor's lines. One per run, on the
// loop's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>

#include "tools/common/event_loop.h"
#include "tools/common/source_pool.h"
#include "tools/ctraffic/flow.h"
#include "tools/ctraffic/options.h"
#include "tools/ctraffic/statistics.h"

namespace xdplb::ctraffic {

class Client final : public FlowOwner {
 public:
  Client(tools::EventLoop& loop, const Options& options, std::vector<tools::SocketAddress> remotes,
         tools::SourcePool sources);

  void start();
  // On a signal: the first time packets under way may come back, the second time nothing is waited for.
  void stop();

  // Complete once the loop has ended. Moves the records out: call it once.
  Statistics take_statistics();

  // Why the run could not go on; empty after an ordinary one.
  [[nodiscard]] const std::string& fatal() const { return fatal_; }
  // The last connect that failed, for the operator; empty where all succeeded.
  [[nodiscard]] const std::string& connect_cause() const { return connect_cause_; }

  ConnStats* begin_connection(tools::SocketAddress& source) override;
  double random_below(double limit) override;
  void connect_failed(const std::string& cause) override;
  Statistics& totals() override { return totals_; }
  void flow_ended(Flow& flow) override;

 private:
  void start_more();
  void tick();
  void print_monitor() const;
  ConnStats* give_up(std::string cause);

  tools::EventLoop& loop_;
  const Options options_;
  tools::SourcePool sources_;
  std::mt19937_64 random_;
  Plan plan_;
  Statistics totals_;
  std::deque<ConnStats> records_;  // their addresses stay
  std::unordered_map<Flow*, std::unique_ptr<Flow>> flows_;
  int64_t begun_ = 0;
  std::string fatal_;
  std::string connect_cause_;
  tools::Timer starter_;
  tools::Timer ticker_;
};

}  // namespace xdplb::ctraffic
