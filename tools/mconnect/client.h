// Client: makes -nconn connections, at most -maxconcurrent of them connecting at the same time, and tallies the
// answers. One per run, on the loop's thread.
//
// At the deadline, or on a signal, what is not connected counts as a failed connect and what is not answered as a
// failed read; a kept connection that was answered is no failure.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tools/common/address.h"
#include "tools/common/event_loop.h"
#include "tools/common/source_pool.h"
#include "tools/mconnect/attempt.h"
#include "tools/mconnect/options.h"
#include "tools/mconnect/tally.h"

namespace xdplb::mconnect {

class Client final : public AttemptOwner {
 public:
  // `open_max` bounds the connections open at the same time (file descriptors).
  Client(tools::EventLoop& loop, const Options& options, std::vector<tools::SocketAddress> remotes,
         tools::SourcePool sources, uint64_t open_max);

  void start();
  // Ends everything that is under way and stops the loop.
  void finish();

  [[nodiscard]] const Tally& tally() const { return tally_; }
  // Why connections failed, and how many for each reason.
  [[nodiscard]] const std::map<std::string, uint64_t>& causes() const { return causes_; }

  void connected(Attempt& attempt) override;
  void answered(Attempt& attempt, std::string_view host) override;
  void failed(Attempt& attempt, const std::string& cause) override;

 private:
  void start_more();
  void start_one();
  void drop(Attempt& attempt);
  void count_cause(const std::string& cause, uint64_t count);

  tools::EventLoop& loop_;
  const Options options_;
  const std::vector<tools::SocketAddress> remotes_;
  const uint64_t open_max_;
  tools::SourcePool sources_;
  Tally tally_;
  std::map<std::string, uint64_t> causes_;
  uint64_t started_ns_ = 0;
  int64_t begun_ = 0;       // of options_.nconn
  int64_t concurrent_ = 0;  // TCP: connecting; UDP: waiting for the answer
  std::unordered_map<Attempt*, std::unique_ptr<Attempt>> attempts_;
  tools::Timer deadline_;
  tools::Timer starter_;
};

}  // namespace xdplb::mconnect
