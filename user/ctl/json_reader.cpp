#include "user/ctl/json_reader.h"

#include <vector>

namespace xdplb {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 16;
constexpr size_t kMaxQuoted = 60;

// Follows the parser through the document, since nlohmann::json itself lets the last of equal keys win.
class DuplicateKeys {
 public:
  // False: what follows is not to be kept in memory.
  bool on_event(int depth, json::parse_event_t event, const json& parsed) {
    switch (event) {
      case json::parse_event_t::object_start: frames_.push_back(Frame{false, 0, {}, {}}); break;
      case json::parse_event_t::array_start: frames_.push_back(Frame{true, 0, {}, {}}); break;
      case json::parse_event_t::key: on_key(parsed.get<std::string>()); break;
      case json::parse_event_t::object_end:
      case json::parse_event_t::array_end:
        frames_.pop_back();
        on_element_end();
        break;
      case json::parse_event_t::value: on_element_end(); break;
    }
    if (depth > kMaxDepth && !error_) error_ = fail("{}: nested deeper than {}", path(), kMaxDepth);
    return depth <= kMaxDepth;
  }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  struct Frame {
    bool is_array;
    size_t index;
    std::string key;
    std::set<std::string> seen;
  };

  void on_key(std::string key) {
    Frame& frame = frames_.back();
    frame.key = std::move(key);
    if (!frame.seen.insert(frame.key).second && !error_) error_ = fail("{}: is given twice", path());
  }
  void on_element_end() {
    if (!frames_.empty() && frames_.back().is_array) ++frames_.back().index;
  }
  [[nodiscard]] std::string path() const {
    std::string path;
    for (const Frame& frame : frames_) {
      if (frame.is_array) {
        path += fmt::format("[{}]", frame.index);
      } else if (!frame.key.empty()) {
        path += (path.empty() ? "" : ".") + frame.key;
      }
    }
    return path;
  }

  std::vector<Frame> frames_;
  std::optional<Error> error_;
};

}  // namespace

Result<json> parse_json_strictly(std::string_view text) {
  DuplicateKeys duplicates;
  const auto callback = [&](int depth, json::parse_event_t event, const json& parsed) {
    return duplicates.on_event(depth, event, parsed);
  };
  try {
    json value = json::parse(text, callback, true, true);
    if (duplicates.error()) return *duplicates.error();
    return value;
  } catch (const json::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
    const std::string what = error.what();
    const size_t after_id = what.find("] ");
    return fail("{}", after_id == std::string::npos ? what : what.substr(after_id + 2));
  }
}

std::string quote_json(const json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array";
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > kMaxQuoted) text = text.substr(0, kMaxQuoted) + "...";
  return text;
}

JsonObject::JsonObject(const json& value, std::string path, JsonErrors& errors)
    : value_(value), path_(std::move(path)), errors_(errors) {
  if (!value_.is_object()) {
    errors_.set(path_.empty() ? "the file" : path_, fmt::format("{} is not an object", quote_json(value_)));
  }
}

void JsonObject::refuse_unknown_keys() {
  if (!value_.is_object()) return;
  for (const auto& [key, value] : value_.items()) {
    if (known_.contains(key)) continue;
    std::string allowed;
    for (const std::string& name : known_) allowed += (allowed.empty() ? "" : ", ") + name;
    errors_.set(path_of(key), fmt::format("unknown key; there are {}", allowed));
  }
}

const json* JsonObject::find(const std::string& key) {
  known_.insert(key);
  if (!value_.is_object()) return nullptr;
  const auto found = value_.find(key);
  return found == value_.end() ? nullptr : &*found;
}

void JsonObject::require(const std::string& key) {
  if (find(key) == nullptr) errors_.set(path_of(key), "is missing");
}

void JsonObject::string(const std::string& key, std::string& out) {
  const json* value = find(key);
  if (value == nullptr) return;
  if (!value->is_string()) return errors_.set(path_of(key), fmt::format("{} is not a string", quote_json(*value)));
  out = value->get<std::string>();
}

std::optional<uint64_t> JsonObject::read_number(const std::string& key, uint64_t least, uint64_t most) {
  const json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_number_unsigned()) {
    const auto number = value->get<uint64_t>();
    if (number >= least && number <= most) return number;
  }
  errors_.set(path_of(key), fmt::format("{} is not a number from {} to {}", quote_json(*value), least, most));
  return std::nullopt;
}

std::optional<size_t> JsonObject::read_choice(const std::string& key, std::span<const std::string_view> names) {
  const json* value = find(key);
  if (value == nullptr) return std::nullopt;
  size_t index = 0;
  for (const std::string_view name : names) {
    if (value->is_string() && value->get<std::string>() == name) return index;
    ++index;
  }
  errors_.set(path_of(key), fmt::format("{} is none of {}", quote_json(*value), fmt::join(names, ", ")));
  return std::nullopt;
}

void JsonObject::array(const std::string& key,
                       const std::function<void(const json& element, const std::string& path)>& visit) {
  const json* value = find(key);
  if (value == nullptr) return;
  if (!value->is_array()) return errors_.set(path_of(key), fmt::format("{} is not an array", quote_json(*value)));
  size_t index = 0;
  for (const json& element : *value) visit(element, fmt::format("{}[{}]", path_of(key), index++));
}

void JsonObject::object(const std::string& key, const std::function<void(JsonObject& object)>& visit) {
  const json* value = find(key);
  if (value == nullptr) return;
  JsonObject object(*value, path_of(key), errors_);
  visit(object);
  object.refuse_unknown_keys();
}

}  // namespace xdplb
