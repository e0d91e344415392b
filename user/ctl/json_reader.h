// Reading a JSON document strictly: every value is asked for by key and type, and what was not asked for, was given
// twice or has the wrong type is an error with its path, as `services[0].vips[1]`. The first error stays; a caller
// reads on without asking and looks once, at the end.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "user/base/result.h"

namespace xdplb {

// Parses text with // and /* */ comments. Error: line and column of a syntax error, or the path of a key that is
// given twice, or nesting deeper than 16.
Result<nlohmann::json> parse_json_strictly(std::string_view text);

// The line, from 1, of what a path such as `services[0].vips[1]` names, or of the innermost thing around it that is
// there.
size_t find_json_line(std::string_view text, std::string_view path);

// A value as it stands in the text, cut where it is long.
std::string quote_json(const nlohmann::json& value);

class JsonErrors {
 public:
  // `path: text`
  void set(const std::string& path, const std::string& text) {
    if (!first_) first_ = fail("{}: {}", path, text);
  }
  [[nodiscard]] const std::optional<Error>& first() const { return first_; }

 private:
  std::optional<Error> first_;
};

// One object. Whoever has read all of it calls refuse_unknown_keys().
class JsonObject {
 public:
  JsonObject(const nlohmann::json& value, std::string path, JsonErrors& errors);
  JsonObject(const JsonObject&) = delete;
  JsonObject& operator=(const JsonObject&) = delete;

  [[nodiscard]] bool has(const std::string& key) { return find(key) != nullptr; }
  void require(const std::string& key);

  // Each leaves `out` alone where the key is missing.
  void string(const std::string& key, std::string& out);
  template <typename Int>
  void number(const std::string& key, Int& out, uint64_t least, uint64_t most) {
    if (const auto value = read_number(key, least, most)) out = static_cast<Int>(*value);
  }
  // One of the names, in the order of the enumerators.
  template <typename Enum>
  void choice(const std::string& key, Enum& out, std::span<const std::string_view> names) {
    if (const auto index = read_choice(key, names)) out = static_cast<Enum>(*index);
  }
  // Calls visit(element, path) for each element of an array.
  void array(const std::string& key,
             const std::function<void(const nlohmann::json& element, const std::string& path)>& visit);
  // Calls visit(object) for an object, and refuses what it did not ask for.
  void object(const std::string& key, const std::function<void(JsonObject& object)>& visit);

  // Every key that nobody has asked for is an error.
  void refuse_unknown_keys();

  [[nodiscard]] std::string path_of(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }

 private:
  const nlohmann::json* find(const std::string& key);
  std::optional<uint64_t> read_number(const std::string& key, uint64_t least, uint64_t most);
  std::optional<size_t> read_choice(const std::string& key, std::span<const std::string_view> names);

  const nlohmann::json& value_;
  std::string path_;
  JsonErrors& errors_;
  std::set<std::string> known_;
};

}  // namespace xdplb
