// Whether a balancer should be sent traffic, as a value, and as the control socket's verb `ready` carries it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "user/ctl/control_socket.h"

namespace xdplb {

struct Readiness {
  std::vector<std::string> reasons;  // why not, one line each; empty: ready
  bool going = false;                // it was told to stop, and forwards for a while yet
  uint64_t generation = 0;           // of the configuration in force

  [[nodiscard]] bool is_ready() const { return reasons.empty(); }
};

// {"ready": ..., "going": ..., "generation": ..., "reasons": [...]}
std::string readiness_to_json(const Readiness& readiness);
// "ready", or "not ready: ..." a reason, a line each.
std::string readiness_to_text(const Readiness& readiness);

void serve_ready_verb(ControlServer& server, std::function<Readiness()> ask);

// `path` is that of the control socket. A daemon that is not there or does not answer is not ready: that is the
// reason then, not an error.
Readiness ask_ready(const std::string& path);

}  // namespace xdplb
