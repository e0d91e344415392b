#include <catch2/catch.hpp>

#include "tools/mconnect/options.h"
#include "tools/mconnect/server.h"
#include "tools/mconnect/tally.h"

namespace {

using namespace xdplb::mconnect;

Parsed parse_all(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "mconnect");
  return parse(static_cast<int>(arguments.size()), arguments.data());
}

TEST_CASE("mconnect: the defaults are those of the original") {
  const auto parsed = parse_all({"-nconn", "100"});
  REQUIRE(parsed.options);
  CHECK(parsed.options->address == "[::1]:5001");
  CHECK(parsed.options->nconn == 100);
  CHECK(parsed.options->maxconcurrent == 64);
  CHECK(parsed.options->output == Output::text);
  CHECK(parsed.options->timeout_ns == 2'100'000'000);
  CHECK_FALSE(parsed.options->server);
  CHECK_FALSE(parsed.options->keep);
  CHECK_FALSE(parsed.options->source_cidr);
}

TEST_CASE("mconnect: every option is read") {
  const auto parsed = parse_all({"-address", "10.0.0.0:5001", "-server", "-nconn=7", "-srccidr", "50.0.0.0/16",
                                 "-keep", "-udp", "-seed", "-5", "-maxconcurrent", "3", "--output", "json"});
  REQUIRE(parsed.options);
  CHECK(parsed.options->address == "10.0.0.0:5001");
  CHECK(parsed.options->server);
  CHECK(parsed.options->nconn == 7);
  CHECK(parsed.options->source_cidr);
  CHECK(parsed.options->keep);
  CHECK(parsed.options->udp);
  CHECK(parsed.options->seed == static_cast<uint64_t>(-5));
  CHECK(parsed.options->maxconcurrent == 3);
  CHECK(parsed.options->output == Output::json);
  CHECK(parsed.options->timeout_ns == 3600'000'000'000);
}

TEST_CASE("mconnect: wrong usage ends with 2, help with 0") {
  CHECK(parse_all({"-nconn", "-1"}).exit.exit_code == 2);
  CHECK(parse_all({"-nconn", "many"}).exit.exit_code == 2);
  CHECK(parse_all({"-maxconcurrent", "0"}).exit.exit_code == 2);
  CHECK(parse_all({"-output", "xml"}).exit.exit_code == 2);
  CHECK(parse_all({"-srccidr", "50.0.0.0"}).exit.exit_code == 2);
  CHECK(parse_all({"-timeout", "10"}).exit.exit_code == 2);
  CHECK(parse_all({"-timeout", "-1s"}).exit.exit_code == 2);
  CHECK(parse_all({"-bogus"}).exit.exit_code == 2);
  CHECK(parse_all({"stray"}).exit.exit_code == 2);
  CHECK(parse_all({"-nconn"}).exit.exit_code == 2);
  for (const auto& parsed : {parse_all({"-help"}), parse_all({"-h"}), parse_all({})}) {
    CHECK(parsed.exit.exit_code == 0);
    CHECK_FALSE(parsed.options);
  }
}

TEST_CASE("mconnect: the tally is printed as the original prints it") {
  Tally tally;
  tally.hosts = {{"vm-002", 48}, {"vm-001", 52}};
  tally.connects = 101;
  tally.failed_connects = 1;
  tally.start_time = {1540472014, 0};
  tally.timeout_ns = 2'101'000'000;
  tally.duration_ns = 642530530;
  CHECK(tally.any_failed());
  CHECK(tally.text() == "Failed connects; 1\nFailed reads; 0\nvm-001 52\nvm-002 48\n");
  const std::string json = tally.json();
  CHECK(json.starts_with(
      R"({"hosts":{"vm-001":52,"vm-002":48},"connects":101,"failed_connects":1,"failed_reads":0,"start_time":"2018-)"));
  CHECK(json.ends_with(R"(,"timeout":2101000000,"duration":642530530})"
                       "\n"));
  CHECK_FALSE(Tally().any_failed());
  CHECK(Tally().json().starts_with(R"({"hosts":{},)"));
}

TEST_CASE("mconnect: the server says its name on accept and for each read") {
  const auto logic = name_sessions("vm-001")();
  std::string out;
  logic->on_open(out);
  CHECK(out == "vm-001");
  logic->on_data(std::string_view("anything"), out);
  CHECK(out == "vm-001vm-001");
  char hello[] = "Hello";
  CHECK(name_datagrams("vm-001")(hello) == "vm-001");
}

}  // namespace
