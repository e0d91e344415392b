// Questions about live flows as they go through the control socket, and their answers: values on both sides, JSON in
// between. The daemon implements FlowVerbs; the commands call ask_...
//
//   flows        a page of a listing. A request looks at a bounded piece of the tables; whoever wants all asks again
//                from `next` on. Nothing is kept in the daemon between two pages.
//   flow         one flow by its whole key, in every worker's table
//   flow_tally   how many flows each service has with each target and VIP, page by page as a listing
//   flush        begins to forget flows, one flush at a time; goes on when nobody asks any more
//   flush_state  how far that is
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "user/base/result.h"
#include "user/ctl/control_socket.h"
#include "user/net/flow_key.h"

namespace xdplb {

struct FlowLine {
  uint32_t worker = 0;
  std::string protocol;
  std::string src;
  std::string dst;
  std::string service;
  std::string target;  // empty: gone
  std::string state;
  uint64_t age_ns = 0;
  uint64_t idle_ns = 0;
  uint64_t expires_in_ns = 0;
  friend bool operator==(const FlowLine&, const FlowLine&) = default;
};
nlohmann::ordered_json flow_to_json(const FlowLine& flow);

struct FlowCursor {
  uint32_t table = 0;
  uint32_t slot = 0;
  friend bool operator==(const FlowCursor&, const FlowCursor&) = default;
};

struct FlowsRequest {
  std::vector<std::string> filter;  // user/lb/flow_filter.h
  FlowCursor from;
  uint32_t lines_max = 0;  // more are counted, not sent
};

struct FlowCounts {
  uint64_t total = 0;
  std::map<std::string, uint64_t> by_service;
  std::map<std::string, uint64_t> by_target;
  std::map<std::string, uint64_t> by_state;
  std::map<std::string, uint64_t> by_worker;

  void add(const FlowLine& flow, uint64_t n = 1);
  void add(const FlowCounts& other);
  friend bool operator==(const FlowCounts&, const FlowCounts&) = default;
};
nlohmann::ordered_json counts_to_json(const FlowCounts& counts);

struct FlowsPage {
  std::vector<FlowLine> flows;
  FlowCounts counts;
  std::optional<FlowCursor> next;  // nothing: that was all
  friend bool operator==(const FlowsPage&, const FlowsPage&) = default;
};

// Live flows that have all three in common.
struct FlowTally {
  std::string service;
  std::string target;  // empty: gone
  std::string vip;     // the service's prefix; empty: none of them, as with a VIP from bpftool
  uint64_t flows = 0;
  friend bool operator==(const FlowTally&, const FlowTally&) = default;
};

struct FlowTallyPage {
  std::vector<FlowTally> tallies;
  std::optional<FlowCursor> next;
};

struct FlushState {
  bool done = false;
  uint64_t flushed = 0;
};

class FlowVerbs {
 public:
  virtual ~FlowVerbs() = default;
  virtual Result<FlowsPage> list(const FlowsRequest& request) = 0;
  virtual Result<FlowTallyPage> tally(const FlowCursor& from) = 0;
  virtual std::vector<FlowLine> find(const FlowKey& key) = 0;
  // Returns the number of the flush.
  virtual Result<uint64_t> flush(const std::vector<std::string>& filter) = 0;
  virtual Result<FlushState> flush_state(uint64_t number) = 0;
};

// `verbs` must outlive the server.
void serve_flow_verbs(ControlServer& server, FlowVerbs& verbs);

inline constexpr uint32_t kFlowLinesMax = 1000;  // of a page

// `path` is that of the control socket.
Result<FlowsPage> ask_flows(const std::string& path, const FlowsRequest& request);
// Adds all pages up.
Result<std::vector<FlowTally>> ask_flow_tallies(const std::string& path);
Result<std::vector<FlowLine>> ask_flow(const std::string& path, const std::string& protocol, const std::string& src,
                                       const std::string& dst);
Result<uint64_t> ask_flush(const std::string& path, const std::vector<std::string>& filter);
Result<FlushState> ask_flush_state(const std::string& path, uint64_t number);

}  // namespace xdplb
