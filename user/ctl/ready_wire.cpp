#include "user/ctl/ready_wire.h"

#include <nlohmann/json.hpp>

namespace xdplb {
namespace {

using Json = nlohmann::ordered_json;
using nlohmann::json;

constexpr std::chrono::milliseconds kAnswerWait{2000};

Readiness from_json(const json& result) {
  Readiness readiness;
  readiness.going = result.at("going").get<bool>();
  readiness.generation = result.at("generation").get<uint64_t>();
  readiness.reasons = result.at("reasons").get<std::vector<std::string>>();
  return readiness;
}

}  // namespace

std::string readiness_to_json(const Readiness& readiness) {
  const Json object = {{"ready", readiness.is_ready()},
                       {"going", readiness.going},
                       {"generation", readiness.generation},
                       {"reasons", readiness.reasons}};
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string readiness_to_text(const Readiness& readiness) {
  if (readiness.is_ready()) return "ready\n";
  std::string text;
  for (const std::string& reason : readiness.reasons) text += fmt::format("not ready: {}\n", reason);
  return text;
}

void serve_ready_verb(ControlServer& server, std::function<Readiness()> ask) {
  server.on("ready",
            [ask = std::move(ask)](const json&) -> Result<json> { return json::parse(readiness_to_json(ask())); });
}

Readiness ask_ready(const std::string& path) {
  const auto result = control_request(path, "ready", json::object(), kAnswerWait);
  if (!result) return {{result.error().message}, false, 0};
  try {
    return from_json(*result);
  } catch (const json::exception&) {
    return {{fmt::format("{} answers in a way that this xdplb does not know", path)}, false, 0};
  }
}

}  // namespace xdplb
