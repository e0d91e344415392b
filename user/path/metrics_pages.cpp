#include "user/path/metrics_pages.h"

#include "user/ctl/metrics.h"

namespace xdplb {
namespace {

constexpr int kOk = 200;
constexpr int kUnavailable = 503;
constexpr const char* kText = "text/plain; charset=utf-8";

HttpPage metrics_page(const MetricsView& view) {
  const ReadinessFacts facts = view.supervision.facts();
  return {kOk, kMetricsType,
          metrics_text({view.stats, judge(facts), view.adoption, facts.plane_lost_because.empty()})};
}

HttpPage ready_page(const MetricsView& view) {
  const Readiness readiness = view.supervision.readiness();
  return {readiness.is_ready() ? kOk : kUnavailable, kText, readiness_to_text(readiness)};
}

// Who asks whether we live will kill us if not: only for what a new daemon would mend, as the watchdog does.
HttpPage live_page(const MetricsView& view) {
  if (all_progress(view.supervision.facts())) return {kOk, kText, "alive\n"};
  return {kUnavailable, kText, "a worker gives no sign of life\n"};
}

}  // namespace

Result<std::unique_ptr<HttpServer>> serve_metrics(EventLoop& loop, const Endpoint& at, MetricsView view) {
  auto server = HttpServer::create(loop, at);
  if (!server) return fail("{} (--metrics)", server.error().message);
  (*server)->on("/metrics", [view] { return metrics_page(view); });
  (*server)->on("/readyz", [view] { return ready_page(view); });
  (*server)->on("/livez", [view] { return live_page(view); });
  (*server)->on("/", [] { return HttpPage{kOk, kText, "xdplb: /metrics /readyz /livez\n"}; });
  return server;
}

}  // namespace xdplb
