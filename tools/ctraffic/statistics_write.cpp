#include "tools/common/json_object.h"
#include "tools/ctraffic/statistics.h"

namespace xdplb::ctraffic {
namespace {

std::string to_json(const ConnStats& c) {
  tools::JsonObject object;
  object.add("Started", c.started_ns)
      .add("Connect", c.connect_ns)
      .add("Ended", c.ended_ns)
      .add("Err", c.err)
      .add("Sent", c.sent)
      .add("Received", c.received)
      .add("Dropped", c.dropped)
      .add("Retransmits", c.retransmits)
      .add("Local", c.local)
      .add("Remote", c.remote);
  if (!c.host.empty()) object.add("Host", c.host);
  return object.text();
}

std::string to_json(const Sample& s) {
  tools::JsonObject object;
  object.add("Time", s.time_ns).add("Sent", s.sent).add("Received", s.received).add("Dropped", s.dropped);
  return object.text();
}

template <typename T>
void add_list(tools::JsonObject& object, std::string_view name, const std::vector<T>& values) {
  if (values.empty()) return;
  std::string list = "[";
  for (const T& value : values) {
    if (list.size() > 1) list += ',';
    list += to_json(value);
  }
  object.raw(name, list + ']');
}

}  // namespace

std::string to_json(const Statistics& s) {
  tools::JsonObject object;
  object.add("Started", s.started)
      .add("Duration", s.duration_ns)
      .add("Rate", s.rate_kb_per_s)
      .add("Connections", s.connections)
      .add("PacketSize", s.packet_bytes)
      .add("FailedConnections", s.failed_connections)
      .add("Sent", s.sent)
      .add("Received", s.received)
      .add("Dropped", s.dropped)
      .add("Retransmits", s.retransmits)
      .add("FailedConnects", s.failed_connects);
  add_list(object, "ConnStats", s.conn_stats);
  add_list(object, "Samples", s.samples);
  return object.text() + '\n';
}

}  // namespace xdplb::ctraffic
