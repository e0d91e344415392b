#include "user/ctl/where_wire.h"

#include <algorithm>

#include "user/ctl/control_ask.h"
#include "user/ctl/hex.h"
#include "user/net/parse.h"

namespace xdplb {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

static_assert(kWhereFramesMax * (2 * kWhereHeadBytes + 64) < kMaxRequestBytes);

ordered_json text_or_null(const std::string& text) {
  return text.empty() ? ordered_json() : ordered_json(text);
}

Result<std::vector<std::vector<uint8_t>>> frames_of(const json& list) {
  if (list.size() > kWhereFramesMax) return fail("{} frames: at most {}", list.size(), kWhereFramesMax);
  std::vector<std::vector<uint8_t>> frames;
  for (const json& one : list) {
    auto bytes = from_hex(one.at("head").get<std::string>());
    if (!bytes) return bytes.error();
    if (bytes->size() > kWhereHeadBytes)
      return fail("{} bytes of a frame: at most {}", bytes->size(), kWhereHeadBytes);
    const auto len_bytes = one.at("len").get<uint32_t>();
    if (len_bytes < bytes->size() || len_bytes > kMaxFrameLenBytes) return fail("a frame of {} bytes", len_bytes);
    bytes->resize(len_bytes);
    frames.push_back(std::move(*bytes));
  }
  return frames;
}

ordered_json flow_json(const WhereFlow& flow) {
  ordered_json j = flow_to_json(flow.line);
  j["target_state"] = text_or_null(flow.target_state);
  j["ignored"] = text_or_null(flow.ignored);
  return j;
}

}  // namespace

ordered_json whereabouts_to_json(const Whereabouts& where) {
  ordered_json j = {{"packet", where.packet},
                    {"verdict", where.verdict},
                    {"reason", text_or_null(where.reason)},
                    {"vip", text_or_null(where.vip)},
                    {"service", text_or_null(where.service)}};
  j["flows"] = ordered_json::array();
  for (const WhereFlow& flow : where.flows) j["flows"].push_back(flow_json(flow));
  j["slot"] = nullptr;
  if (where.slot) {
    j["slot"] = {{"slot", where.slot->slot},
                 {"table_size", where.slot->table_size},
                 {"target", text_or_null(where.slot->target)},
                 {"mac", text_or_null(where.slot->mac)}};
  }
  j["target"] = text_or_null(where.target);
  j["mac"] = text_or_null(where.mac);
  j["decided_by"] = text_or_null(where.decided_by);
  j["differs"] = text_or_null(where.differs);
  j["steps"] = where.steps;
  return j;
}

void serve_where(ControlServer& server, WhereVerb& verb) {
  server.on("where", [&verb](const json& args) -> Result<json> {
    const auto frames = frames_of(args.at("frames"));
    if (!frames) return frames.error();
    const auto answer = verb.where(*frames);
    if (!answer) return answer.error();
    json packets = json::array();
    for (const Whereabouts& where : answer->packets) packets.push_back(json(whereabouts_to_json(where)));
    return json{{"generation", answer->generation}, {"packets", std::move(packets)}};
  });
}

WhereFrame make_where_frame(const std::vector<uint8_t>& bytes, uint32_t len_bytes) {
  const size_t head = std::min(bytes.size(), kWhereHeadBytes);
  return {{bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(head)},
          std::max(len_bytes, static_cast<uint32_t>(bytes.size()))};
}

Result<json> ask_where(const std::string& path, const std::vector<WhereFrame>& frames) {
  json list = json::array();
  for (const WhereFrame& frame : frames) list.push_back({{"head", to_hex(frame.head)}, {"len", frame.len_bytes}});
  auto answer = control_request(path, "where", {{"frames", std::move(list)}}, kControlAnswerWait);
  if (!answer) return answer.error();
  const bool known = answer->is_object() && answer->contains("packets") && (*answer)["packets"].is_array() &&
                     (*answer)["packets"].size() == frames.size();
  if (!known) return fail("{} answers in a way that this xdplb does not know", path);
  return answer;
}

}  // namespace xdplb
