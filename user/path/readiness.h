// Whether the balancer should be sent traffic: judged from facts, by pure functions.
//
// Ready: the data plane stands (links up, our program on them), every worker gives signs of life, every service has
// as many usable targets as it needs, and nobody has told the daemon to go.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "user/ctl/ready_wire.h"
#include "user/lb/snapshot.h"

namespace xdplb {

struct WorkerSign {
  std::string name;
  uint64_t beat_ns = 0;  // when it last gave a sign of life
};

struct ServiceNeed {
  std::string name;
  uint32_t usable = 0;  // targets that take new flows
  uint32_t needed = 0;
};

struct ReadinessFacts {
  uint64_t now_ns = 0;
  std::string going_because;       // empty: it is not going
  std::string plane_lost_because;  // empty: the data plane stands
  std::vector<WorkerSign> workers;
  uint64_t hung_after_ns = 0;  // without a sign of life
  std::vector<ServiceNeed> services;
  uint64_t generation = 0;
};

// How long a worker may be silent, by the --heartbeat-ms of the daemon: until the kernel program no longer serves its
// queue; 1.25 s where that is off.
uint64_t hung_after_ns(uint32_t heartbeat_ms);

// What `config`, compiled as `snapshot`, has and needs.
std::vector<ServiceNeed> needs_of(const Config& config, const Snapshot& snapshot);

// Whether the workers that there are give signs of life.
bool all_progress(const ReadinessFacts& facts);

Readiness judge(const ReadinessFacts& facts);

}  // namespace xdplb
