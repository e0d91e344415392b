// What a change of the configuration does to traffic: which share of each service's table moves, and what becomes of
// the connections that live. For `plan` and `apply`, before anything changes. Pure functions; cold path.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "user/lb/config.h"

namespace xdplb {

enum class ServiceChange : uint8_t { stays, added, removed };

struct TableMove {
  std::string service;
  ServiceChange change = ServiceChange::stays;
  // Of the flows that the table decides, new ones above all, those that get another target than before: 0 to 1. Where
  // there was no target before, nothing moves; where none is left or the service goes, everything does.
  double share = 0;
  size_t usable_before = 0;  // targets that take new flows
  size_t usable_after = 0;
};

// Every service of either configuration whose table changes, and those that come and go, by name. Targets with an
// address count as found. The configurations have identities of one line (merge_file).
std::vector<TableMove> table_moves(const Config& before, const Config& after);

enum class FlowFate : uint8_t {
  stays,
  drains,  // stays too, with a target that takes no new flows of the service
  breaks,  // its packets go to another target, which does not know it, or to the kernel
};

// What becomes of the live flows of a configuration, by the names of service, target and VIP.
class FlowFates {
 public:
  explicit FlowFates(const Config& after);

  // `vip` is the text of the prefix, empty where no service names it: one that bpftool put into the map.
  [[nodiscard]] FlowFate of(const std::string& service, const std::string& target, std::string_view vip) const;

 private:
  [[nodiscard]] bool is_served(std::string_view vip) const;

  const Config& after_;
  std::map<std::string, const Target*> targets_;
  std::map<std::string, std::set<std::string>> takers_;  // by service: targets that take its new flows
  std::set<IpPrefix> vips_;
};

}  // namespace xdplb
