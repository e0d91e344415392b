#include "user/ctl/capture_wire.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "user/ctl/control_ask.h"
#include "user/ctl/hex.h"

namespace xdplb {
namespace {

using nlohmann::json;

// Of what was sent only what differs from what was received: the addresses, and two bytes of checksum.
json packet_to_json(const CapturedPacket& packet) {
  json j = {{"time_ns", packet.time_ns},
            {"len", packet.len_bytes},
            {"received", to_hex(packet.received)},
            {"comment", packet.comment}};
  if (packet.sent.empty()) return j;
  json changes = json::array();
  for (size_t i = 0; i < packet.sent.size(); ++i) {
    if (packet.sent[i] != packet.received[i]) changes.push_back({i, packet.sent[i]});
  }
  j["changes"] = std::move(changes);
  return j;
}

CapturedPacket packet_from_json(const json& j) {
  CapturedPacket packet;
  packet.time_ns = j.at("time_ns").get<uint64_t>();
  packet.len_bytes = j.at("len").get<uint32_t>();
  packet.comment = j.at("comment").get<std::string>();
  const auto received = from_hex(j.at("received").get<std::string>());
  if (received) packet.received = *received;
  if (!j.contains("changes")) return packet;
  packet.sent = packet.received;
  for (const json& change : j.at("changes")) packet.sent.at(change.at(0).get<size_t>()) = change.at(1).get<uint8_t>();
  return packet;
}

json page_to_json(const CapturePage& page) {
  json packets = json::array();
  for (const CapturedPacket& packet : page.packets) packets.push_back(packet_to_json(packet));
  return {{"packets", std::move(packets)}, {"lost", page.lost}, {"more", page.more}, {"ended", page.ended}};
}

CapturePage page_from_json(const json& j) {
  CapturePage page;
  for (const json& packet : j.at("packets")) page.packets.push_back(packet_from_json(packet));
  page.lost = j.at("lost").get<uint64_t>();
  page.more = j.at("more").get<bool>();
  page.ended = j.at("ended").get<bool>();
  return page;
}

CaptureRequest request_from_json(const json& args) {
  CaptureRequest request;
  request.vips = args.at("vips").get<std::vector<std::string>>();
  request.services = args.at("services").get<std::vector<std::string>>();
  request.targets = args.at("targets").get<std::vector<std::string>>();
  request.reasons = args.at("reasons").get<std::vector<std::string>>();
  request.snap_bytes = args.at("snap_bytes").get<uint32_t>();
  request.seconds = args.at("seconds").get<uint32_t>();
  return request;
}

}  // namespace

void serve_capture_verbs(ControlServer& server, CaptureVerbs& verbs) {
  server.on("capture_start", [&verbs](const json& args) -> Result<json> {
    const auto started = verbs.start(request_from_json(args));
    if (!started) return started.error();
    return json{{"number", started->number}, {"ingress", started->ingress}, {"egress", started->egress}};
  });
  server.on("capture_read", [&verbs](const json& args) -> Result<json> {
    const auto page = verbs.read(args.at("number").get<uint64_t>());
    if (!page) return page.error();
    return page_to_json(*page);
  });
  server.on("capture_stop", [&verbs](const json& args) -> Result<json> {
    if (auto r = verbs.stop(args.at("number").get<uint64_t>()); !r) return r.error();
    return json::object();
  });
}

Result<CaptureStarted> ask_capture_start(const std::string& path, const CaptureRequest& request) {
  const json args = {{"vips", request.vips},       {"services", request.services},     {"targets", request.targets},
                     {"reasons", request.reasons}, {"snap_bytes", request.snap_bytes}, {"seconds", request.seconds}};
  return ask_control(path, "capture_start", args, [](const json& j) {
    return CaptureStarted{j.at("number").get<uint64_t>(), j.at("ingress").get<std::string>(),
                          j.at("egress").get<std::string>()};
  });
}

Result<CapturePage> ask_capture_read(const std::string& path, uint64_t number) {
  return ask_control(path, "capture_read", {{"number", number}}, page_from_json);
}

Result<void> ask_capture_stop(const std::string& path, uint64_t number) {
  if (const auto answer = control_request(path, "capture_stop", {{"number", number}}, kControlAnswerWait); !answer) {
    return answer.error();
  }
  return {};
}

}  // namespace xdplb
