#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include "tools/xdpsink/options.h"
#include "tools/xdpsink/report.h"

namespace {

using namespace xdplb;
using namespace xdplb::xdpsink;

Parsed parse_all(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "xdpsink");
  return parse(static_cast<int>(arguments.size()), arguments.data());
}

}  // namespace

TEST_CASE("xdpsink: every option is read") {
  const Parsed parsed =
      parse_all({"--device", "eth1", "--targets", "0:0:0:1:1:1,0:0:0:1:1:2", "--source", "0:0:0:1:1:c9", "--verify",
                 "8", "--interval", "100ms", "--duration", "3s", "--cpu", "1", "--latency", "13"});
  INFO(parsed.exit.text);
  REQUIRE(parsed.options);
  CHECK(parsed.options->targets.size() == 2);
  CHECK(to_string(*parsed.options->source) == "00:00:00:01:01:c9");
  CHECK(parsed.options->verify == 8);
  CHECK(parsed.options->interval_ns == 100'000'000);
  CHECK(parsed.options->duration_ns == 3'000'000'000);
  CHECK(parsed.options->cpu == 1);
  CHECK(parsed.options->latency == 13);
}

TEST_CASE("xdpsink: wrong usage ends with 2, help with 0") {
  const std::vector<std::vector<const char*>> wrong = {
      {"--device", "eth1"},
      {"--targets", "0:0:0:1:1:1"},
      {"--device", "eth1", "--targets", "0:0:0:1:1:1,0:0:0:1:2:1"},
      {"--device", "eth1", "--targets", "zz"},
      {"--device", "eth1", "--targets", "0:0:0:1:1:1", "--verify", "3"},
      {"--device", "eth1", "--targets", "0:0:0:1:1:1", "--interval", "1"},
  };
  for (const auto& arguments : wrong) {
    const Parsed parsed = parse_all(arguments);
    CAPTURE(arguments.back());
    CHECK_FALSE(parsed.options);
    CHECK(parsed.exit.exit_code == 2);
  }
  CHECK(parse_all({"-help"}).exit.exit_code == 0);
}

TEST_CASE("xdpsink: a latency lies in its bucket, and buckets are narrow") {
  for (uint64_t ns = 0; ns < 40'000'000'000; ns += 1 + ns / 37) {
    const uint32_t bucket = latency_bucket(ns);
    REQUIRE(bucket < XDPSINK_BUCKETS);
    CHECK(bucket_floor(bucket) <= ns);
    CHECK(ns < bucket_floor(bucket + 1));
    CHECK((bucket_floor(bucket + 1) - bucket_floor(bucket) - 1) * XDPSINK_PARTS <= ns);
  }
  CHECK(latency_bucket(~uint64_t{0}) == XDPSINK_BUCKETS - 1);
}

TEST_CASE("xdpsink: percentiles") {
  xdpsink_counts counts{};
  CHECK(percentile(counts, 0.5) == 0);
  counts.latency[latency_bucket(1000)] = 98;
  counts.latency[latency_bucket(50'000)] = 1;
  counts.latency[latency_bucket(9'000'000)] = 1;
  CHECK(static_cast<double>(percentile(counts, 0.5)) == Approx(1000).epsilon(0.04));
  CHECK(static_cast<double>(percentile(counts, 0.98)) == Approx(1000).epsilon(0.04));
  CHECK(static_cast<double>(percentile(counts, 0.99)) == Approx(50'000).epsilon(0.04));
  CHECK(static_cast<double>(percentile(counts, 1)) == Approx(9'000'000).epsilon(0.04));
}

TEST_CASE("xdpsink: the report adds the CPUs up and names the targets") {
  std::vector<xdpsink_counts> cpus(2);
  cpus[0].packets = 10;
  cpus[1].packets = 5;
  cpus[1].bad_payload = 2;
  cpus[0].gaps = 3;
  cpus[0].by_target[2] = 7;
  cpus[1].by_target[2] = 1;
  cpus[1].latency[latency_bucket(100)] = 1;
  Options options;
  options.targets = {MacAddr{{0, 0, 0, 1, 1, 2}}, MacAddr{{0, 0, 0, 1, 1, 3}}};
  const auto json = nlohmann::json::parse(report(sum_counts(cpus), options, 42, 3));
  CHECK(json["time_ns"] == 42);
  CHECK(json["run"] == 3);
  CHECK(json["packets"] == 15);
  CHECK(json["bad_payload"] == 2);
  CHECK(json["bad_checksum"] == 0);
  CHECK(json["gaps"] == 3);
  CHECK(json["targets"]["00:00:00:01:01:02"] == 8);
  CHECK(json["targets"]["00:00:00:01:01:03"] == 0);
  CHECK(json["p50_ns"].get<double>() == Approx(100).epsilon(0.04));
  options.latency = 0;
  CHECK_FALSE(nlohmann::json::parse(report(sum_counts(cpus), options, 42, 3)).contains("p50_ns"));
}
