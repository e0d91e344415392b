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
        path + ": services[0].vips[0]: \"10.0.0.300\" is not an address or prefix");
  CHECK(error(config_text({"a"}, "127.0.0.1")) == path + ": service [web]: 127.0.0.1/32 is loopback");
  CHECK(error("{").starts_with(path + ": "));
  CHECK(error("").starts_with(path + ": "));
  CHECK(store->generation().value() == 1);
  ::unlink(path.c_str());
  CHECK(publish_config_file(*store, path).error().message == "Cannot open " + path + ": No such file or directory");
}

}  // namespace xdplb
