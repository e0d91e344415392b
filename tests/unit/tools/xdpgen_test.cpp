#include <catch2/catch.hpp>

#include "tests/support/packet.h"
#include "tools/xdpgen/options.h"
#include "tools/xdpgen/template.h"

namespace {

using namespace xdplb;
using namespace xdplb::xdpgen;
using test::operator+;

Parsed parse_all(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "xdpgen");
  return parse(static_cast<int>(arguments.size()), arguments.data());
}

Options options_of(std::vector<const char*> more) {
  more.insert(more.begin(), {"--device", "eth2", "--to", "0:0:0:1:2:c9"});
  const Parsed parsed = parse_all(more);
  INFO(parsed.exit.text);
  REQUIRE(parsed.options);
  return *parsed.options;
}

constexpr MacAddr kDevice{{2, 0, 0, 0, 0, 9}};

}  // namespace

TEST_CASE("xdpgen: every option is read") {
  const Options options =
      options_of({"--from",  "2:0:0:0:0:1", "-vip",   "1000::5",    "-source", "2000::7", "--port=80",
                  "--flows", "1000000",     "--size", "128",        "--rate",  "1.5e6",   "--batch",
                  "7",       "--count",     "99",     "--duration", "2s",      "--cpu",   "1"});
  CHECK(options.device == "eth2");
  CHECK(to_string(options.to) == "00:00:00:01:02:c9");
  CHECK(to_string(*options.from) == "02:00:00:00:00:01");
  CHECK(to_string(options.vip) == "1000::5");
  CHECK(to_string(options.source) == "2000::7");
  CHECK(options.port == 80);
  CHECK(options.flows == 1'000'000);
  CHECK(options.size_bytes == 128);
  CHECK(options.rate == 1.5e6);
  CHECK(options.batch == 7);
  CHECK(options.count == 99);
  CHECK(options.duration_ns == 2'000'000'000);
  CHECK(options.cpu == 1);
}

TEST_CASE("xdpgen: a batch is what 10 us bring, unless it is asked for") {
  CHECK(options_of({}).batch == 64);
  CHECK(options_of({"--rate", "1000"}).batch == 1);
  CHECK(options_of({"--rate", "100000"}).batch == 1);
  CHECK(options_of({"--rate", "2000000"}).batch == 20);
  CHECK(options_of({"--rate", "50000000"}).batch == 64);
}

TEST_CASE("xdpgen: wrong usage ends with 2, help with 0") {
  const std::vector<std::vector<const char*>> wrong = {
      {"--to", "0:0:0:1:2:3"},
      {"--device", "eth2"},
      {"--device", "eth2", "--to", "zz"},
      {"--device", "eth2", "--to", "0:0:0:1:2:3", "--size", "59"},
      {"--device", "eth2", "--to", "0:0:0:1:2:3", "--size", "1515"},
      {"--device", "eth2", "--to", "0:0:0:1:2:3", "--vip", "1000::", "--size", "79"},
      {"--device", "eth2", "--to", "0:0:0:1:2:3", "--vip", "1000::", "--source", "1.2.3.4"},
      {"--device", "eth2", "--to", "0:0:0:1:2:3", "--flows", "0"},
      {"--device", "eth2", "--to", "0:0:0:1:2:3", "--flows", "1048577"},
      {"--device", "eth2", "--to", "0:0:0:1:2:3", "--rate", "0.5"},
      {"--device", "eth2", "--to", "0:0:0:1:2:3", "--rate", "nan"},
      {"--device", "eth2", "--to", "0:0:0:1:2:3", "--batch", "257"},
      {"--device", "eth2", "--to", "0:0:0:1:2:3", "--duration", "5"},
  };
  for (const auto& arguments : wrong) {
    const Parsed parsed = parse_all(arguments);
    CAPTURE(arguments.back());
    CHECK_FALSE(parsed.options);
    CHECK(parsed.exit.exit_code == 2);
  }
  CHECK(parse_all({"-help"}).exit.exit_code == 0);
}

// What the program adds (flow, checksums, stamp) is judged on the wire: tests/e2e/test_tools_packets.py.
TEST_CASE("xdpgen: the template is the packet without its flow") {
  Options options = options_of({"--size", "100", "--source", "0.0.0.0", "--vip", "10.0.0.0"});
  const Template v4 = make_template(options, kDevice);
  const test::Bytes udp4 = test::udp(0, 5001, test::fill(58));
  auto expected = test::hex("00000001 02c9 020000000009 0800") +
                  test::ipv4(17, udp4, {.src = test::fill(4), .fragment = 0x4000, .id = 0});
  expected.resize(PACKET_STAMP_AT4);
  std::fill(expected.begin() + 24, expected.begin() + 26, uint8_t{0});  // checksums are the program's
  std::fill(expected.begin() + 40, expected.begin() + 42, uint8_t{0});
  CHECK(v4.frame.size() == 100);
  CHECK(test::Bytes(v4.frame.begin(), v4.frame.begin() + PACKET_STAMP_AT4) == expected);
  CHECK(v4.run.family == 4);
  CHECK(v4.run.interval == 0);
  CHECK(v4.run.sequence == 1);
  CHECK(v4.run.armed == 0);

  options = options_of({"--size", "100", "--vip", "1000::", "--source", "2000::5:1234", "--rate", "1000000"});
  const Template v6 = make_template(options, kDevice);
  const test::Bytes udp6 = test::udp(0, 5001, test::fill(38));
  const test::Bytes source = test::hex("2000 0000 0000 0000 0000 0000 0000 0000");
  auto expected6 =
      test::hex("00000001 02c9 020000000009 86dd") + test::ipv6(17, udp6, {.src = source, .dst = test::kVip6});
  expected6.resize(PACKET_STAMP_AT6);
  std::fill(expected6.begin() + 60, expected6.begin() + 62, uint8_t{0});
  CHECK(test::Bytes(v6.frame.begin(), v6.frame.begin() + PACKET_STAMP_AT6) == expected6);
  CHECK(v6.run.source == 0x00051234);
  CHECK(v6.run.interval == 1000u << XDPGEN_TIME_SHIFT);
}
