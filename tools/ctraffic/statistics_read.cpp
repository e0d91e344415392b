#include <cerrno>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "tools/ctraffic/statistics.h"

namespace xdplb::ctraffic {
namespace {

using Json = nlohmann::json;

class Reader;
void read_members(Reader& reader, const Json& object, ConnStats& c);
void read_members(Reader& reader, const Json& object, Sample& s);

// Reads members by name and keeps the first complaint.
class Reader {
 public:
  template <typename T>
  void read(const Json& object, const char* name, T& value) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) return;
    try {
      found->get_to(value);
    } catch (const Json::exception&) {
      complain(name, *found);
    }
  }

  template <typename T>
  void read_list(const Json& object, const char* name, std::vector<T>& values) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) return;
    if (!found->is_array()) return complain(name, *found);
    for (const Json& element : *found) {
      if (!element.is_object()) return complain(name, element);
      read_members(*this, element, values.emplace_back());
    }
  }

  [[nodiscard]] const std::string& complaint() const { return complaint_; }

 private:
  void complain(const char* name, const Json& value) {
    constexpr size_t kShown = 40;
    if (complaint_.empty())
      complaint_ = fmt::format("{}: {} has the wrong type", name, value.dump().substr(0, kShown));
  }

  std::string complaint_;
};

void read_members(Reader& reader, const Json& object, ConnStats& c) {
  reader.read(object, "Started", c.started_ns);
  reader.read(object, "Connect", c.connect_ns);
  reader.read(object, "Ended", c.ended_ns);
  reader.read(object, "Err", c.err);
  reader.read(object, "Sent", c.sent);
  reader.read(object, "Received", c.received);
  reader.read(object, "Dropped", c.dropped);
  reader.read(object, "Retransmits", c.retransmits);
  reader.read(object, "Local", c.local);
  reader.read(object, "Remote", c.remote);
  reader.read(object, "Host", c.host);
}

void read_members(Reader& reader, const Json& object, Sample& s) {
  reader.read(object, "Time", s.time_ns);
  reader.read(object, "Sent", s.sent);
  reader.read(object, "Received", s.received);
  reader.read(object, "Dropped", s.dropped);
}

void read_members(Reader& reader, const Json& object, Statistics& s) {
  reader.read(object, "Started", s.started);
  reader.read(object, "Duration", s.duration_ns);
  reader.read(object, "Rate", s.rate_kb_per_s);
  reader.read(object, "Connections", s.connections);
  reader.read(object, "PacketSize", s.packet_bytes);
  reader.read(object, "FailedConnections", s.failed_connections);
  reader.read(object, "Sent", s.sent);
  reader.read(object, "Received", s.received);
  reader.read(object, "Dropped", s.dropped);
  reader.read(object, "Retransmits", s.retransmits);
  reader.read(object, "FailedConnects", s.failed_connects);
  reader.read_list(object, "ConnStats", s.conn_stats);
  reader.read_list(object, "Samples", s.samples);
}

}  // namespace

Result<Statistics> from_json(std::string_view text, std::string_view name) {
  try {
    const Json object = Json::parse(text);
    if (!object.is_object()) return fail("{}: not a JSON object", name);
    Statistics statistics;
    Reader reader;
    read_members(reader, object, statistics);
    if (!reader.complaint().empty()) return fail("{}: {}", name, reader.complaint());
    return statistics;
  } catch (const Json::exception& error) {
    return fail("{}: {}", name, error.what());
  }
}

Result<Statistics> read_statistics(const std::string& path) {
  using Chars = std::istreambuf_iterator<char>;
  if (path == "-") return from_json(std::string(Chars(std::cin), Chars()), "standard input");
  errno = 0;
  std::ifstream file(path);
  if (!file) return fail_errno(errno, "Cannot open {}", path);
  const std::string text{Chars(file), Chars()};
  if (file.bad()) return fail_errno(errno, "Cannot read {}", path);
  return from_json(text, path);
}

}  // namespace xdplb::ctraffic
