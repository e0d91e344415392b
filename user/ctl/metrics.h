// Metrics in the text format of Prometheus, from what the daemon publishes as its statistics. A pure function.
//
// Sums by worker, target, service, device and drop reason; never a product of two of them, so that the number of
// series grows with the configuration and no faster.
//
// Written by hand and not with prometheus-cpp: its server has threads of its own that nothing bounds, and its
// serialiser wants a tree of strings with every sample that is larger than the page and slower than making it
// (user/ctl/README.md has the figures).
#pragma once

#include <string>

#include "user/ctl/ready_wire.h"
#include "user/ctl/stats.h"
#include "user/ctl/stats_segment.h"

namespace xdplb {

struct MetricsSource {
  const DaemonStats& stats;
  const Readiness& readiness;
  const Adoption& adoption;
  bool plane_up = false;
};

inline constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

std::string metrics_text(const MetricsSource& from);

}  // namespace xdplb
