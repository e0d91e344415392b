#include "user/ctl/config_wire.h"

#include <catch2/catch.hpp>
#include <random>

namespace xdplb {
namespace {

#include "tests/unit/ctl/config_v1.inc"

constexpr size_t kSlotHeaderBytes = 64;

IpPrefix prefix(std::string_view text) {
  const auto parsed = parse_prefix(text);
  REQUIRE(parsed);
  return *parsed;
}

// Every field of layout 1 away from its default.
Config rich_config() {
  Config config = make_default_config(101, 3);
  config.hash_seed = 0x1122334455667788;
  config.lb_tier = LbTier{1, {MacAddr{{2, 1}}, MacAddr{{2, 2}}}};
  config.targets[1].mac = MacAddr{{2, 0, 0, 0, 0, 9}};
  config.targets[1].address = prefix("192.0.2.1").addr;
  config.targets[1].weight = 7;
  config.targets[1].state = TargetState::draining;
  config.targets[1].description = "the second, \xc3\xa4";
  Service service;
  service.name = "web";
  service.vips = {prefix("10.0.0.0/24"), prefix("1000::1")};
  service.pass_vips = {prefix("1000::1")};
  service.listen = {Listen{6, {{80, 80}, {5000, 5010}}}, Listen{17, {}}, Listen{kAnyProtocol, {}}};
  service.targets = {TargetUse{2, 0}, TargetUse{0, std::nullopt}};
  service.table_size = 65537;
  service.on_empty = OnEmpty::pass;
  service.hash_fields = HashFields::source;
  service.algorithm = Algorithm::modulo;
  service.timeouts = Timeouts{1, 2, 3, 4, 5, 6};
  service.flow_quota_percent = 33;
  service.embryonic_quota_percent = 3;
  service.fallback_pass = true;
  service.description = "web servers";
  config.services.push_back(service);
  REQUIRE(assign_identities(Config{}, config));
  REQUIRE(validate_config(config));
  return config;
}

// And those of layout 2.
Config marked_config() {
  Config config = rich_config();
  config.origin = {"/etc/xdplb/lb.json", true};
  config.targets[0].by_hand = ByHand{TargetState::down, std::nullopt};
  config.targets[1].by_hand = ByHand{TargetState::draining, MacAddr{{2, 0, 0, 0, 0, 10}}};
  config.targets[2].unreachable = Unreachable::keep;
  config.services[0].need = 0;
  config.services[1].need = 2;
  REQUIRE(validate_config(config));
  return config;
}

}  // namespace

TEST_CASE("config wire: what is encoded is decoded") {
  for (const Config& config : {Config{}, make_default_config(997, 20), rich_config(), marked_config()}) {
    const auto decoded = decode_config(encode_config(config));
    REQUIRE(decoded);
    CHECK(*decoded == config);
  }
}

TEST_CASE("config wire: bytes of layout 1 are read, and written as they were") {
  const auto body = std::span(kV1Slot).subspan(kSlotHeaderBytes);
  const auto decoded = decode_config(body, 1);
  REQUIRE(decoded);
  Config expected = rich_config();
  expected.last_epoch = decoded->last_epoch;  // drawn at random when the file was made
  for (Target& target : expected.targets) target.epoch = decoded->last_epoch;
  CHECK(*decoded == expected);
  CHECK(encode_config(expected, 1) == std::vector<uint8_t>(body.begin(), body.end()));
  CHECK_FALSE(decode_config(body, 2));
  for (size_t len = 0; len < body.size(); ++len) {
    CAPTURE(len);
    REQUIRE_FALSE(decode_config(body.first(len), 1));
  }
}

TEST_CASE("config wire: what layout 1 has no room for is named") {
  const auto error = [](auto change) {
    Config config = rich_config();
    change(config);
    CHECK(check_fits_layout(config, 2));
    const auto fits = check_fits_layout(config, 1);
    return fits ? "" : fits.error().message.substr(0, fits.error().message.find(" has no room in layout 1"));
  };
  CHECK(error([](Config&) {}).empty());
  CHECK(error([](Config& c) { c.origin.file = "/x"; }).empty());
  CHECK(error([](Config& c) { c.targets[1].by_hand = ByHand{}; }) == "the mark by hand of target \"1\"");
  CHECK(error([](Config& c) { c.targets[2].unreachable = Unreachable::keep; }) == "\"unreachable\" of target \"2\"");
  CHECK(error([](Config& c) { c.services[1].need = 2; }) == "\"need\" of service \"web\"");
}

TEST_CASE("config wire: 4096 services of 64 targets fit a slot") {
  Config config = make_default_config(997, 64);
  for (int i = 1; i < 4096; ++i) {
    Service service = config.services[0];
    service.is_default = false;
    service.name = "service-" + std::to_string(i);
    service.vips = {prefix("10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256))};
    config.services.push_back(service);
  }
  REQUIRE(assign_identities(Config{}, config));
  REQUIRE(validate_config(config));
  CHECK(encode_config(config).size() < (16u << 20) / 2);
}

TEST_CASE("config wire: every truncation is an error") {
  const std::vector<uint8_t> bytes = encode_config(marked_config());
  for (size_t len = 0; len < bytes.size(); ++len) {
    CAPTURE(len);
    REQUIRE_FALSE(decode_config(std::span(bytes).first(len)));
  }
}

TEST_CASE("config wire: hostile bytes give an error or a Config, and never more of it than there are bytes") {
  const std::vector<uint8_t> good = encode_config(marked_config());
  std::mt19937 random(1);
  int decoded = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::vector<uint8_t> bytes = good;
    for (int flips = 1 + static_cast<int>(random() % 4); flips > 0; --flips) {
      bytes[random() % (round % 2 == 0 ? 200 : bytes.size())] = static_cast<uint8_t>(random());
    }
    const auto config = decode_config(bytes);
    if (!config) continue;
    ++decoded;
    size_t records = config->targets.size();
    for (const Service& service : config->services) {
      records += service.vips.size() + service.targets.size() + service.listen.size();
    }
    REQUIRE(records <= bytes.size());
    // Whatever it is, judging it does not fault.
    static_cast<void>(validate_config(*config).has_value());
  }
  CHECK(decoded > 100);  // the rounds did reach beyond the first checks
}

TEST_CASE("config wire: counts that overflow or overlap are refused") {
  std::vector<uint8_t> bytes = encode_config(rich_config());
  const auto with_section = [&](size_t section, uint32_t offset, uint32_t count) {
    std::vector<uint8_t> changed = bytes;
    std::memcpy(changed.data() + 16 + section * 8, &offset, sizeof offset);
    std::memcpy(changed.data() + 20 + section * 8, &count, sizeof count);
    return changed;
  };
  for (size_t section = 0; section < 8; ++section) {
    CAPTURE(section);
    CHECK_FALSE(decode_config(with_section(section, 88, UINT32_MAX)));
    CHECK_FALSE(decode_config(with_section(section, UINT32_MAX, 1)));
    CHECK_FALSE(decode_config(with_section(section, static_cast<uint32_t>(bytes.size()), 1)));
  }
  // Records that nothing refers to.
  CHECK_FALSE(decode_config(with_section(1, 88, 0)));
}

}  // namespace xdplb
