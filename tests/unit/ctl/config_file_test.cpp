#include "user/ctl/config_file.h"

#include <catch2/catch.hpp>
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

  // What commands made before is replaced by the file, too.
  auto by_hand = ConfigStore::create(dir.name("other"), make_default_config(997, 4));
  auto other = open_or_create_store(dir.name("other"), second);
  REQUIRE(other);
  CHECK(other->read()->config.services[0].name == "default");
  CHECK(publish_config(*other, second).value() == 2);
  CHECK(other->read()->config.services.size() == 1);
  CHECK(other->read()->config.services[0].name == "web");
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
