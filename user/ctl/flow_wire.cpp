#include "user/ctl/flow_wire.h"

#include <cmath>
#include <tuple>

#include "user/ctl/control_ask.h"
#include "user/net/flow_key_text.h"

namespace xdplb {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

double seconds(uint64_t ns) {
  const uint64_t ms = ns / 1'000'000;
  return static_cast<double>(ms) / 1000.0;
}
uint64_t nanoseconds(const json& s) {
  return static_cast<uint64_t>(std::llround(s.get<double>() * 1000.0)) * 1'000'000;
}

FlowLine flow_from_json(const json& j) {
  FlowLine flow;
  flow.worker = j.at("worker").get<uint32_t>();
  flow.protocol = j.at("protocol").get<std::string>();
  flow.src = j.at("src").get<std::string>();
  flow.dst = j.at("dst").get<std::string>();
  flow.service = j.at("service").get<std::string>();
  if (!j.at("target").is_null()) flow.target = j.at("target").get<std::string>();
  flow.state = j.at("state").get<std::string>();
  flow.age_ns = nanoseconds(j.at("age_s"));
  flow.idle_ns = nanoseconds(j.at("idle_s"));
  flow.expires_in_ns = nanoseconds(j.at("expires_in_s"));
  return flow;
}

std::vector<FlowLine> lines_from_json(const json& list) {
  std::vector<FlowLine> lines;
  for (const json& one : list) lines.push_back(flow_from_json(one));
  return lines;
}

ordered_json lines_to_json(const std::vector<FlowLine>& lines) {
  ordered_json list = ordered_json::array();
  for (const FlowLine& line : lines) list.push_back(flow_to_json(line));
  return list;
}

FlowCounts counts_from_json(const json& j) {
  FlowCounts counts;
  counts.total = j.at("total").get<uint64_t>();
  j.at("by_service").get_to(counts.by_service);
  j.at("by_target").get_to(counts.by_target);
  j.at("by_state").get_to(counts.by_state);
  j.at("by_worker").get_to(counts.by_worker);
  return counts;
}

json cursor_to_json(const FlowCursor& cursor) {
  return {{"table", cursor.table}, {"slot", cursor.slot}};
}
FlowCursor cursor_from_json(const json& j) {
  return {j.at("table").get<uint32_t>(), j.at("slot").get<uint32_t>()};
}

json page_to_json(const FlowsPage& page) {
  return {{"flows", lines_to_json(page.flows)},
          {"counts", counts_to_json(page.counts)},
          {"next", page.next ? cursor_to_json(*page.next) : json()}};
}
FlowsPage page_from_json(const json& j) {
  FlowsPage page;
  page.flows = lines_from_json(j.at("flows"));
  page.counts = counts_from_json(j.at("counts"));
  if (!j.at("next").is_null()) page.next = cursor_from_json(j.at("next"));
  return page;
}

json tally_page_to_json(const FlowTallyPage& page) {
  json tallies = json::array();
  for (const FlowTally& t : page.tallies) tallies.push_back({t.service, t.target, t.vip, t.flows});
  return {{"tallies", std::move(tallies)}, {"next", page.next ? cursor_to_json(*page.next) : json()}};
}
FlowTallyPage tally_page_from_json(const json& j) {
  FlowTallyPage page;
  for (const json& t : j.at("tallies")) {
    page.tallies.push_back({t.at(0).get<std::string>(), t.at(1).get<std::string>(), t.at(2).get<std::string>(),
                            t.at(3).get<uint64_t>()});
  }
  if (!j.at("next").is_null()) page.next = cursor_from_json(j.at("next"));
  return page;
}

FlowsRequest request_from_json(const json& args) {
  FlowsRequest request;
  args.at("filter").get_to(request.filter);
  request.from = cursor_from_json(args.at("from"));
  request.lines_max = args.at("lines_max").get<uint32_t>();
  return request;
}

}  // namespace

ordered_json flow_to_json(const FlowLine& flow) {
  return {{"protocol", flow.protocol},
          {"src", flow.src},
          {"dst", flow.dst},
          {"service", flow.service},
          {"target", flow.target.empty() ? ordered_json() : ordered_json(flow.target)},
          {"state", flow.state},
          {"age_s", seconds(flow.age_ns)},
          {"idle_s", seconds(flow.idle_ns)},
          {"expires_in_s", seconds(flow.expires_in_ns)},
          {"worker", flow.worker}};
}

void FlowCounts::add(const FlowLine& flow, uint64_t n) {
  total += n;
  by_service[flow.service] += n;
  by_target[flow.target.empty() ? "-" : flow.target] += n;
  by_state[flow.state] += n;
  by_worker[std::to_string(flow.worker)] += n;
}

void FlowCounts::add(const FlowCounts& other) {
  total += other.total;
  for (const auto& [name, n] : other.by_service) by_service[name] += n;
  for (const auto& [name, n] : other.by_target) by_target[name] += n;
  for (const auto& [name, n] : other.by_state) by_state[name] += n;
  for (const auto& [name, n] : other.by_worker) by_worker[name] += n;
}

ordered_json counts_to_json(const FlowCounts& counts) {
  return {{"total", counts.total},
          {"by_service", counts.by_service},
          {"by_target", counts.by_target},
          {"by_state", counts.by_state},
          {"by_worker", counts.by_worker}};
}

void serve_flow_verbs(ControlServer& server, FlowVerbs& verbs) {
  server.on("flows", [&verbs](const json& args) -> Result<json> {
    const auto page = verbs.list(request_from_json(args));
    if (!page) return page.error();
    return page_to_json(*page);
  });
  server.on("flow_tally", [&verbs](const json& args) -> Result<json> {
    const auto page = verbs.tally(cursor_from_json(args.at("from")));
    if (!page) return page.error();
    return tally_page_to_json(*page);
  });
  server.on("flow", [&verbs](const json& args) -> Result<json> {
    const auto key = parse_flow_key(args.at("protocol").get<std::string>(), args.at("src").get<std::string>(),
                                    args.at("dst").get<std::string>());
    if (!key) return key.error();
    return json{{"flows", lines_to_json(verbs.find(*key))}};
  });
  server.on("flush", [&verbs](const json& args) -> Result<json> {
    const auto number = verbs.flush(args.at("filter").get<std::vector<std::string>>());
    if (!number) return number.error();
    return json{{"number", *number}};
  });
  server.on("flush_state", [&verbs](const json& args) -> Result<json> {
    const auto state = verbs.flush_state(args.at("number").get<uint64_t>());
    if (!state) return state.error();
    return json{{"done", state->done}, {"flushed", state->flushed}};
  });
}

Result<FlowsPage> ask_flows(const std::string& path, const FlowsRequest& request) {
  const json args = {
      {"filter", request.filter}, {"from", cursor_to_json(request.from)}, {"lines_max", request.lines_max}};
  return ask_control(path, "flows", args, page_from_json);
}

Result<std::vector<FlowTally>> ask_flow_tallies(const std::string& path) {
  std::map<std::tuple<std::string, std::string, std::string>, uint64_t> sums;
  std::optional<FlowCursor> at = FlowCursor{};
  while (at) {
    const auto page = ask_control(path, "flow_tally", {{"from", cursor_to_json(*at)}}, tally_page_from_json);
    if (!page) return page.error();
    for (const FlowTally& t : page->tallies) sums[{t.service, t.target, t.vip}] += t.flows;
    at = page->next;
  }
  std::vector<FlowTally> all;
  all.reserve(sums.size());
  for (const auto& [of, flows] : sums) all.push_back({std::get<0>(of), std::get<1>(of), std::get<2>(of), flows});
  return all;
}

Result<std::vector<FlowLine>> ask_flow(const std::string& path, const std::string& protocol, const std::string& src,
                                       const std::string& dst) {
  const json args = {{"protocol", protocol}, {"src", src}, {"dst", dst}};
  return ask_control(path, "flow", args, [](const json& j) { return lines_from_json(j.at("flows")); });
}

Result<uint64_t> ask_flush(const std::string& path, const std::vector<std::string>& filter) {
  return ask_control(path, "flush", {{"filter", filter}},
                     [](const json& j) { return j.at("number").get<uint64_t>(); });
}

Result<FlushState> ask_flush_state(const std::string& path, uint64_t number) {
  return ask_control(path, "flush_state", {{"number", number}}, [](const json& j) {
    return FlushState{j.at("done").get<bool>(), j.at("flushed").get<uint64_t>()};
  });
}

}  // namespace xdplb
