// Flow: one of the client's -nconn connections, and those that replace it when it fails.
//
//   begin -> connecting <-> backoff
//              |
//            pacing <-> exchanging (a packet out and its echo back)      lost: begin anew
//
// A connection lasts if nothing fails until the next packet would be due after the end of the run. Owned by the
// Client, on the loop's thread; reports flow_ended() exactly once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/common/address.h"
#include "tools/common/event_loop.h"
#include "tools/common/socket.h"
#include "tools/ctraffic/statistics.h"
#include "tools/ctraffic/token_bucket.h"
#include "user/base/unique_fd.h"

namespace xdplb::ctraffic {

// What all flows of a run have in common. Constant while it runs, but for `stopping`.
struct Plan {
  tools::Transport transport = tools::Transport::tcp;
  std::vector<tools::SocketAddress> remotes;
  std::vector<char> packet;  // what is sent: zeros
  double bytes_per_s = 0;    // of one flow
  bool reconnect = true;
  uint64_t started_ns = 0;
  uint64_t deadline_ns = 0;
  bool stopping = false;  // begin nothing new
};

class Flow;

class FlowOwner {
 public:
  virtual ~FlowOwner() = default;
  // The record of a new connection and the address that it leaves from; nothing where there may be no more. The
  // pointer is good for the whole run.
  virtual ConnStats* begin_connection(tools::SocketAddress& source) = 0;
  virtual double random_below(double limit) = 0;
  virtual void connect_failed(const std::string& cause) = 0;
  virtual Statistics& totals() = 0;
  virtual void flow_ended(Flow& flow) = 0;
};

class Flow final : public tools::Watcher {
 public:
  Flow(tools::EventLoop& loop, FlowOwner& owner, const Plan& plan);

  void start() { begin(); }
  // Ends what waits; a packet that is under way may still come back.
  void stop();

  void on_ready(uint32_t events) override;
  void on_timer() override;

 private:
  enum class State { idle, backoff, connecting, pacing, exchanging };

  void begin();
  void try_connect();
  void finish_connect();
  void connect_failed(const std::string& cause);
  void connected();

  void pace();
  void exchange();
  bool send_rest();
  bool receive_rest();
  void packet_sent();
  void packet_received();

  void lost(std::string err);
  void lasted();
  void close();
  [[nodiscard]] std::string failure(const char* call, int error) const;
  [[nodiscard]] bool is_udp() const { return plan_.transport == tools::Transport::udp; }
  [[nodiscard]] int64_t since_start(uint64_t time_ns) const;
  // Less than this before the end, nothing new is begun.
  [[nodiscard]] bool is_late(uint64_t extra_ns) const;

  tools::EventLoop& loop_;
  FlowOwner& owner_;
  const Plan& plan_;
  State state_ = State::idle;
  ConnStats* record_ = nullptr;
  tools::SocketAddress source_;
  size_t remote_tried_ = 0;
  uint64_t backoff_ns_ = 0;
  std::optional<TokenBucket> bucket_;
  size_t sent_bytes_ = 0;      // of the packet under way
  size_t received_bytes_ = 0;  // of its echo
  std::string head_;           // the first bytes of the first echo, where the host's name is
  UniqueFd fd_;
  tools::Watch watch_;
};

}  // namespace xdplb::ctraffic
