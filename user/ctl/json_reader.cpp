#include "user/ctl/json_reader.h"

#include <vector>

namespace xdplb {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 16;
constexpr size_t kMaxQuoted = 60;

using Event = json::parse_event_t;

// Tells a listener what the parser meets: on_event(depth, event, key), the key empty but for Event::key; false ends
// it. No document comes of it. The parser's own callbacks make one, and look at all of an array's elements anew at
// the end of each object in it: 150,000 targets took them minutes.
template <typename Listener>
class Events final : public json::json_sax_t {
 public:
  explicit Events(Listener& listener) : listener_(listener) {}

  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(number_integer_t) override { return value(); }
  bool number_unsigned(number_unsigned_t) override { return value(); }
  bool number_float(number_float_t, const string_t&) override { return value(); }
  bool string(string_t&) override { return value(); }
  bool binary(binary_t&) override { return value(); }
  bool start_object(std::size_t) override { return listener_.on_event(depth_++, Event::object_start, ""); }
  bool key(string_t& key) override { return listener_.on_event(depth_, Event::key, key); }
  bool end_object() override { return listener_.on_event(--depth_, Event::object_end, ""); }
  bool start_array(std::size_t) override { return listener_.on_event(depth_++, Event::array_start, ""); }
  bool end_array() override { return listener_.on_event(--depth_, Event::array_end, ""); }
  bool parse_error(std::size_t, const std::string&, const json::exception& error) override {
    syntax_error_ = error.what();
    return false;
  }
  [[nodiscard]] const std::string& syntax_error() const { return syntax_error_; }

 private:
  bool value() { return listener_.on_event(depth_, Event::value, ""); }

  Listener& listener_;
  int depth_ = 0;
  std::string syntax_error_;
};

// Follows the parser through the document and knows where it is.
class PathTracker {
 public:
  // False where an object has a key twice.
  bool on_event(Event event, const std::string& key) {
    switch (event) {
      case Event::object_start: frames_.push_back(Frame{false, 0, {}, {}}); break;
      case Event::array_start: frames_.push_back(Frame{true, 0, {}, {}}); break;
      case Event::key: {
        Frame& frame = frames_.back();
        frame.key = key;
        return frame.seen.insert(frame.key).second;
      }
      case Event::object_end:
      case Event::array_end:
        frames_.pop_back();
        on_element_end();
        break;
      case Event::value: on_element_end(); break;
    }
    return true;
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

 private:
  struct Frame {
    bool is_array;
    size_t index;
    std::string key;
    std::set<std::string> seen;
  };

  void on_element_end() {
    if (!frames_.empty() && frames_.back().is_array) ++frames_.back().index;
  }

  std::vector<Frame> frames_;
};

// nlohmann::json itself lets the last of equal keys win.
class DuplicateKeys {
 public:
  bool on_event(int depth, Event event, const std::string& key) {
    if (!tracker_.on_event(event, key) && !error_) error_ = fail("{}: is given twice", tracker_.path());
    if (depth > kMaxDepth && !error_) error_ = fail("{}: nested deeper than {}", tracker_.path(), kMaxDepth);
    return depth <= kMaxDepth;
  }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  PathTracker tracker_;
  std::optional<Error> error_;
};

// The text as the parser reads it; says how far it has come, of which it tells nobody.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, const char*& furthest) : at_(at), furthest_(&furthest) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    *furthest_ = ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator!=(const CountingIterator& a, const CountingIterator& b) { return a.at_ != b.at_; }

 private:
  const char* at_;
  const char** furthest_;
};

class LineFinder {
 public:
  LineFinder(std::string_view text, std::string_view path) : text_(text), path_(path), read_(text.data()) {}

  // As far as the text can be read.
  size_t find() {
    Events events(*this);
    json::sax_parse(CountingIterator(text_.data(), read_), CountingIterator(text_.data() + text_.size(), unused_),
                    &events, json::input_format_t::json, true, true);
    return found_line_;
  }

  bool on_event(int depth, Event event, const std::string& key) {
    const bool is_bounded = depth <= kMaxDepth + 1;
    const bool begins = event == Event::object_start || event == Event::array_start || event == Event::value;
    if (begins && is_bounded) look(tracker_.path());
    tracker_.on_event(event, key);
    if (event == Event::key && is_bounded) look(tracker_.path());
    return found_size_ < path_.size() || path_.empty();
  }

 private:
  void look(const std::string& here) {
    // The parser has read one byte beyond a number, which may be the end of the line.
    for (; counted_ + 1 < read_; ++counted_) line_ += *counted_ == '\n' ? 1 : 0;
    const bool is_around = path_.starts_with(here) &&
                           (here.size() == path_.size() || path_[here.size()] == '.' || path_[here.size()] == '[');
    if (!is_around || here.size() <= found_size_) return;
    found_size_ = here.size();
    found_line_ = line_;
  }

  std::string_view text_;
  std::string_view path_;
  const char* read_;
  const char* unused_ = nullptr;
  const char* counted_ = text_.data();
  PathTracker tracker_;
  size_t line_ = 1;
  size_t found_size_ = 0;
  size_t found_line_ = 1;
};

}  // namespace

size_t find_json_line(std::string_view text, std::string_view path) {
  return LineFinder(text, path).find();
}

Result<json> parse_json_strictly(std::string_view text) {
  DuplicateKeys duplicates;
  Events events(duplicates);
  json::sax_parse(text, &events, json::input_format_t::json, true, true);
  // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
  if (const std::string& what = events.syntax_error(); !what.empty()) {
    const size_t after_id = what.find("] ");
    return fail("{}", after_id == std::string::npos ? what : what.substr(after_id + 2));
  }
  if (duplicates.error()) return *duplicates.error();
  return json::parse(text, nullptr, true, true);
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
