// What those who ask the daemon have in common: a question, and a value made of its answer.
#pragma once

#include <nlohmann/json.hpp>

#include "user/ctl/control_socket.h"

namespace xdplb {

inline constexpr std::chrono::milliseconds kControlAnswerWait{5000};

// Whatever the answer lacks is an error. `decode` makes a value of it.
template <typename Decode>
auto ask_control(const std::string& path, const char* verb, const nlohmann::json& args, Decode decode)
    -> Result<decltype(decode(nlohmann::json()))> {
  const auto answer = control_request(path, verb, args, kControlAnswerWait);
  if (!answer) return answer.error();
  try {
    return decode(*answer);
  } catch (const std::exception& error) {
    return fail("{} answers in a way that this xdplb does not know: {}", path, error.what());
  }
}

}  // namespace xdplb
