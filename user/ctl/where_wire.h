// The question `where` as it goes through the control socket: frames, and what would become of each.
//
// The daemon implements WhereVerb and makes values; on the wire and for the command they are JSON, whose `steps` say
// the same in words.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "user/base/result.h"
#include "user/ctl/control_socket.h"
#include "user/ctl/flow_wire.h"

namespace xdplb {

// A flow entry that has the packet's key.
struct WhereFlow {
  FlowLine line;
  std::string target_state;  // empty: the target is gone
  std::string ignored;       // why the packet does not follow it; empty: it may
};

// Where the service's table sends a packet without a flow.
struct WhereSlot {
  uint32_t slot = 0;
  uint32_t table_size = 0;
  std::string target;  // empty: none
  std::string mac;
};

// Empty and missing: does not apply.
struct Whereabouts {
  std::string packet;   // "tcp 192.0.2.1:40000 -> 10.0.0.0:80"
  std::string verdict;  // "forward", "drop", "pass" (to the kernel), "hold", "peer" (another balancer of the tier)
  std::string reason;   // of a drop
  std::string vip;      // the prefix that matched
  std::string service;
  std::vector<WhereFlow> flows;
  std::optional<WhereSlot> slot;
  std::string target;
  std::string mac;
  std::string decided_by;  // "flow", "table", "fragment"
  std::string differs;     // why flow and table do not agree
  std::vector<std::string> steps;
};
nlohmann::ordered_json whereabouts_to_json(const Whereabouts& where);

struct WhereAnswer {
  uint64_t generation = 0;
  std::vector<Whereabouts> packets;
};

class WhereVerb {
 public:
  virtual ~WhereVerb() = default;
  virtual Result<WhereAnswer> where(const std::vector<std::vector<uint8_t>>& frames) = 0;
};

// `verb` must outlive the server.
void serve_where(ControlServer& server, WhereVerb& verb);

// A frame as it is asked for. Headers are all that counts: what lies behind kWhereHeadBytes is taken for zeros.
struct WhereFrame {
  std::vector<uint8_t> head;
  uint32_t len_bytes = 0;
};
inline constexpr size_t kWhereHeadBytes = 1024;
inline constexpr size_t kWhereFramesMax = 24;  // a request
WhereFrame make_where_frame(const std::vector<uint8_t>& bytes, uint32_t len_bytes);

// {"generation": N, "packets": [...]}; at most kWhereFramesMax frames. `path` is that of the control socket.
Result<nlohmann::json> ask_where(const std::string& path, const std::vector<WhereFrame>& frames);

}  // namespace xdplb
