// JsonObject: writes one JSON object on one line, its members in the order in which they are added: the order is part
// of the output that scripts compare. Values must be JSON already where they are passed as `raw`.
#pragma once

#include <fmt/format.h>

#include <concepts>
#include <string>
#include <string_view>

#include "tools/common/go_format.h"

namespace xdplb::tools {

class JsonObject {
 public:
  JsonObject& add(std::string_view name, std::string_view text) { return raw(name, json_string(text)); }
  JsonObject& add(std::string_view name, double value) { return raw(name, json_float(value)); }
  template <std::integral T>
  JsonObject& add(std::string_view name, T value) {
    return raw(name, fmt::format("{}", value));
  }

  JsonObject& raw(std::string_view name, std::string_view json) {
    if (text_.size() > 1) text_ += ',';
    text_ += json_string(name);
    text_ += ':';
    text_ += json;
    return *this;
  }

  [[nodiscard]] std::string text() const { return text_ + '}'; }

 private:
  std::string text_ = "{";
};

}  // namespace xdplb::tools
