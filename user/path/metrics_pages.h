// What the metrics port shows: /metrics for Prometheus, /readyz and /livez for health checks.
#pragma once

#include <memory>

#include "user/ctl/http_server.h"
#include "user/ctl/stats_segment.h"
#include "user/path/supervision.h"

namespace xdplb {

// All of it is the daemon's, and outlives the server.
struct MetricsView {
  const DaemonStats& stats;  // as published last
  const Adoption& adoption;
  const Supervision& supervision;
};

Result<std::unique_ptr<HttpServer>> serve_metrics(EventLoop& loop, const Endpoint& at, MetricsView view);

}  // namespace xdplb
