#include "user/ctl/config_file.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tests/unit/ctl/shm_test_dir.h"

namespace xdplb {
namespace {

std::string write_file(const ShmTestDir& dir, const std::string& text) {
  const std::string path = dir.path() + "/lb.json";
  std::ofstream(path) << text;
  return path;
}

// One service, with targets of these names.
std::string config_text(const std::vector<std::string>& targets, const std::string& vip = "203.0.113.1") {
  std::string list, names;
  for (size_t i = 0; i < targets.size(); ++i) {
    const char* comma = i == 0 ? "" : ", ";
    list += fmt::format(R"({}{{"name": "{}", "mac": "00:00:00:01:01:{:02x}"}})", comma, targets[i], i + 1);
    names += fmt::format(R"({}"{}")", comma, targets[i]);
  }
  return fmt::format(R"({{"version": 1, "targets": [{}],
    "services": [{{"name": "web", "vips": ["{}"], "targets": [{}]}}]}})",
                     list, vip, names);
}

const Target* find_target(const Config& config, const std::string& name) {
  for (const Target& t : config.targets) {
    if (t.name == name) return &t;
  }
  return nullptr;
}

}  // namespace

TEST_CASE("config file: makes the store where there is none, and replaces what is there, identities aside") {
  const ShmTestDir dir;
  const std::string path = write_file(dir, config_text({"a", "b"}));
  auto store = open_or_create_store(dir.name(), *read_config_file(path));
  REQUIRE(store);
  CHECK(publish_config_file(*store, path).value() == 1);
  const Config first = store->read()->config;

  write_file(dir, config_text({"c", "b"}));
  CHECK(publish_config_file(*store, path).value() == 2);
  const Config second = store->read()->config;
  CHECK(find_target(second, "a") == nullptr);
  CHECK(find_target(second, "b")->id == find_target(first, "b")->id);
  CHECK(find_target(second, "b")->epoch == find_target(first, "b")->epoch);
  CHECK(find_target(second, "c")->epoch != find_target(first, "a")->epoch);
  CHECK(second.services[0].id == first.services[0].id);
  CHECK(publish_config_file(*store, path).value() == 2);

  CHECK(second.origin == ConfigOrigin{path, false});
  // The same text elsewhere changes nothing.
  const std::string copy = dir.path() + "/copy.json";
  std::filesystem::copy_file(path, copy);
  CHECK(publish_config_file(*store, copy).value() == 2);
  CHECK(store->read()->config.origin.file == path);
}

TEST_CASE("config file: the default service of init stays with its targets, unless the file names it") {
  const ShmTestDir dir;
  Config by_hand = make_default_config(997, 4);
  by_hand.targets[2].mac = MacAddr{{2, 0, 0, 0, 0, 7}};
  by_hand.targets[2].state = TargetState::active;
  by_hand.services[0].vips = {parse_prefix("203.0.113.9").value()};
  auto store = ConfigStore::create(dir.name(), by_hand);
  REQUIRE(store);
  by_hand = store->read()->config;
  const std::string path = write_file(dir, config_text({"a", "b"}));
  REQUIRE(publish_config_file(*store, path).value() == 2);
  Config both = store->read()->config;
  REQUIRE(both.services.size() == 2);
  const Service& kept = *default_service(both);
  CHECK(kept.vips == by_hand.services[0].vips);
  REQUIRE(kept.targets.size() == 4);
  for (size_t i = 0; i < 4; ++i) CHECK(both.targets[kept.targets[i].target] == by_hand.targets[i]);
  CHECK(both.origin == ConfigOrigin{path, false});
  const std::vector<bool> is_by_hand = targets_set_up_by_hand(both);
  for (size_t i = 0; i < both.targets.size(); ++i) {
    CHECK(is_by_hand[i] == (both.targets[i].name != "a" && both.targets[i].name != "b"));
  }
  CHECK(publish_config_file(*store, path).value() == 2);

  // A target that both name is the file's.
  write_file(dir, config_text({"a", "2"}));
  REQUIRE(publish_config_file(*store, path).value() == 3);
  const Config shared = store->read()->config;
  CHECK(shared.targets.size() == 5);
  CHECK(shared.targets[default_service(shared)->targets[2].target].mac == MacAddr{{0, 0, 0, 1, 1, 2}});
  CHECK(find_target(shared, "2")->id == find_target(both, "2")->id);

  std::string text = config_text({"a", "b"});
  text.replace(text.find("\"web\""), 5, "\"default\"");
  write_file(dir, text);
  REQUIRE(publish_config_file(*store, path).value() == 4);
  const Config replaced = store->read()->config;
  CHECK(replaced.services.size() == 1);
  CHECK(replaced.targets.size() == 2);
  CHECK(replaced.origin.names_default);
  // It was the file's, so it goes with the file.
  write_file(dir, config_text({"a"}));
  REQUIRE(publish_config_file(*store, path).value() == 5);
  CHECK(default_service(store->read()->config) == nullptr);
}

TEST_CASE("config file: marks by hand stay, above whatever the file says") {
  const ShmTestDir dir;
  const std::string path = write_file(dir, config_text({"a", "b"}));
  auto store = open_or_create_store(dir.name(), *read_config_file(path));
  REQUIRE(store);
  const ByHand mark{TargetState::down, MacAddr{{2, 0, 0, 0, 0, 7}}};
  REQUIRE(store->update([&](Config& config) -> Result<void> {
    config.targets[1].by_hand = mark;
    return {};
  }));
  CHECK(publish_config_file(*store, path).value() == 2);
  write_file(dir, config_text({"c", "b", "a"}));
  CHECK(publish_config_file(*store, path).value() == 3);
  const Config after = store->read()->config;
  CHECK(find_target(after, "b")->by_hand == mark);
  CHECK_FALSE(find_target(after, "a")->by_hand);
  write_file(dir, config_text({"c"}));
  CHECK(publish_config_file(*store, path).value() == 4);
  write_file(dir, config_text({"b"}));
  CHECK(publish_config_file(*store, path).value() == 5);
  CHECK_FALSE(find_target(store->read()->config, "b")->by_hand);
}

TEST_CASE("config file: errors name the line, whatever they are about") {
  const std::string text = R"({
  // a comment
  "targets": [{"name": "a", "mac": "2:0:0:0:0:1"},
              {"name": "b", "mac": "2:0:0:0:0:2",
               "weight": 3
}],
  "services": [
    {"vips": [], "name": "web", "table_size": 997,
     "targets": ["a",
                 "b"], "listen": [{"protocol": "tcp",
       "ports": [80,
443,
                 444]}]}
  ]
})";
  const std::pair<const char*, size_t> cases[] = {{"targets[0].name", 3},
                                                  {"targets[1]", 4},
                                                  {"targets[1].mac", 4},
                                                  {"targets[1].weight", 5},
                                                  {"targets[1].missing", 4},
                                                  {"targets[2]", 3},
                                                  {"services[0].vips", 8},
                                                  {"services[0].targets[0]", 9},
                                                  {"services[0].targets[1]", 10},
                                                  {"services[0].listen[0].ports[0]", 11},
                                                  {"services[0].listen[0].ports[1]", 12},
                                                  {"services[0].listen[0].ports[2]", 13},
                                                  {"nothing", 1},
                                                  {"", 1}};
  for (const auto& [where, line] : cases) {
    CAPTURE(where);
    CHECK(place_in_file("lb.json", text, where) == fmt::format("lb.json:{}", line));
  }
  const auto error = [&](const std::string& old, const std::string& with) {
    std::string wrong = text;
    wrong.replace(wrong.find(old), old.size(), with);
    const auto config = parse_config_file("lb.json", wrong);
    return config ? "" : config.error().message;
  };
  CHECK(error("997", "10000") == "lb.json:8: services[0].table_size: 10000 is not prime (9973 is)");
  CHECK(error("\"b\"]", "\"c\"]") ==
        "lb.json:10: services[0].targets[1]: \"c\" is not the name of a target or a group");
  CHECK(error("\"weight\"", "\"wait\"").starts_with("lb.json:5: targets[1].wait: unknown key"));
  CHECK(error("444", "444,").starts_with("lb.json: parse error at line 13, "));
  CHECK(error("[]", std::string(40, '[') + std::string(40, ']')).starts_with("lb.json:8: services[0].vips"));
}

TEST_CASE("config file: one that cannot be used changes nothing") {
  const ShmTestDir dir;
  const std::string path = write_file(dir, config_text({"a"}));
  auto store = open_or_create_store(dir.name(), *read_config_file(path));
  REQUIRE(store);
  const auto error = [&](const std::string& text) {
    write_file(dir, text);
    const auto done = publish_config_file(*store, path);
    return done ? "" : done.error().message;
  };
  CHECK(error(config_text({"a"}, "10.0.0.300")) ==
        path + ":2: services[0].vips[0]: \"10.0.0.300\" is not an address or prefix");
  CHECK(error(config_text({"a"}, "127.0.0.1")) == path + ": service [web]: 127.0.0.1/32 is loopback");
  CHECK(error("{").starts_with(path + ": "));
  CHECK(error("").starts_with(path + ": "));
  CHECK(store->generation().value() == 1);
  ::unlink(path.c_str());
  CHECK(publish_config_file(*store, path).error().message == "Cannot open " + path + ": No such file or directory");
}

}  // namespace xdplb
