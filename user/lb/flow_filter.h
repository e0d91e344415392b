// FlowFilter: which flows somebody means, in words: `service=web state=established,fin min-idle=30s`. FlowMatcher:
// the same for one configuration, where names are ids. Pure values; cold path.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "user/base/result.h"
#include "user/lb/config.h"
#include "user/lb/flow_reader.h"

namespace xdplb {

struct DurationRange {
  uint64_t least_ns = 0;
  uint64_t most_ns = std::numeric_limits<uint64_t>::max();

  [[nodiscard]] bool contains(uint64_t ns) const { return least_ns <= ns && ns <= most_ns; }
};

using NameSet = std::set<std::string, std::less<>>;

// Of each list any, of the lists all; an empty list asks nothing.
struct FlowFilter {
  NameSet services;
  NameSet targets;
  std::set<FlowState> states;
  std::set<uint32_t> workers;
  std::set<uint8_t> protocols;
  std::vector<IpPrefix> src;
  std::vector<IpPrefix> dst;
  std::set<uint16_t> src_ports;
  std::set<uint16_t> dst_ports;
  DurationRange idle;
  DurationRange age;
};

// Terms of the form KEY=VALUE[,VALUE...], each key once: service, target, state, worker, proto, src, dst (addresses
// or prefixes), sport, dport, min-idle, max-idle, min-age, max-age. Error: the term, and what may stand there.
Result<FlowFilter> parse_flow_filter(std::span<const std::string> terms);

// What is said of a flow, beside its record. The names are the matcher's.
struct FlowNames {
  std::string_view service;
  std::string_view target;  // empty where it is gone: the next packet chooses anew
  uint64_t idle_ns = 0;
};

class FlowMatcher {
 public:
  // Error where a name is not in the configuration.
  static Result<FlowMatcher> create(const FlowFilter& filter, const Config& config);

  [[nodiscard]] bool matches(uint32_t worker, const FlowRecord& flow) const;
  [[nodiscard]] FlowNames names(const FlowRecord& flow) const;

 private:
  FlowMatcher() = default;

  // Since the last packet, by the timeout that the service gives that state now.
  [[nodiscard]] uint64_t idle_ns(const FlowRecord& flow) const;

  struct OfService {
    std::string name;
    FlowTimeouts timeouts;
  };
  struct OfTarget {
    std::string name;
    uint16_t epoch = 0;
  };
  FlowFilter filter_;
  std::map<uint16_t, OfService> services_;  // by id: all there are
  std::map<uint16_t, OfTarget> targets_;
};

}  // namespace xdplb
