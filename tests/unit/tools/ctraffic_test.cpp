#include <catch2/catch.hpp>

#include "tools/ctraffic/analyze.h"
#include "tools/ctraffic/options.h"
#include "tools/ctraffic/protocol.h"
#include "tools/ctraffic/statistics.h"
#include "tools/ctraffic/token_bucket.h"

namespace {

using namespace xdplb::ctraffic;

constexpr int64_t kSecond = 1'000'000'000;

Parsed parse_all(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "ctraffic");
  return parse(static_cast<int>(arguments.size()), arguments.data());
}

TEST_CASE("ctraffic: the defaults are those of the original") {
  const auto parsed = parse_all({"-nconn", "1"});
  REQUIRE(parsed.options);
  const Options& options = *parsed.options;
  CHECK(options.mode == Mode::client);
  CHECK(options.tcp_address == "[::1]:5003");
  CHECK(options.udp_address == "[::1]:6003");
  CHECK(options.packet_bytes == 1024);
  CHECK(options.rate_kb_per_s == 10);
  CHECK(options.timeout_ns == 10 * kSecond);
  CHECK(options.retries == 10);
  CHECK(options.reconnect);
  CHECK(options.stats == Stats::summary);
  CHECK(options.analysis == Analysis::throughput);
}

TEST_CASE("ctraffic: every option is read") {
  const auto parsed =
      parse_all({"-address", "10.0.0.0:5003", "-nconn", "100", "-rate", "0.5", "-psize", "10", "-timeout", "1m",
                 "-monitor", "-stats=all", "-reconnect=false", "-retries", "3", "-srccidr", "2000::/112", "-udp"});
  REQUIRE(parsed.options);
  const Options& options = *parsed.options;
  CHECK(options.tcp_address == "10.0.0.0:5003");
  CHECK(options.udp_address == "10.0.0.0:5003");
  CHECK(options.nconn == 100);
  CHECK(options.rate_kb_per_s == 0.5);
  CHECK(options.packet_bytes == 64);  // must hold a host name
  CHECK(options.timeout_ns == 60 * kSecond);
  CHECK(options.monitor);
  CHECK(options.stats == Stats::all);
  CHECK_FALSE(options.reconnect);
  CHECK(options.retries == 3);
  CHECK(options.source_cidr);
  CHECK(options.udp);
  CHECK(parse_all({"-stat_file", "f", "-analyze", "hosts"}).options->mode == Mode::analyze);
  CHECK(parse_all({"-server"}).options->mode == Mode::server);
}

TEST_CASE("ctraffic: wrong usage ends with 2") {
  CHECK(parse_all({"-rate", "0"}).exit.exit_code == 2);
  CHECK(parse_all({"-rate", "nan"}).exit.exit_code == 2);
  CHECK(parse_all({"-timeout", "0"}).exit.exit_code == 2);
  CHECK(parse_all({"-stats", "some"}).exit.exit_code == 2);
  CHECK(parse_all({"-stat_file", "f", "-analyze", "anything"}).exit.exit_code == 2);
  CHECK(parse_all({"-udp", "-psize", "65508"}).exit.exit_code == 2);
  CHECK(parse_all({"-client", "fake"}).exit.exit_code == 2);
}

// Feeds `input` to a fresh connection in pieces and returns what it answers.
std::string echo_in_pieces(const std::string& input, size_t piece) {
  const auto logic = echo_sessions("vm-001")();
  std::string out;
  logic->on_open(out);
  for (size_t at = 0; at < input.size(); at += piece) logic->on_data(std::string_view(input).substr(at, piece), out);
  return out;
}

TEST_CASE("ctraffic: the first 64 bytes come back as the host's name, the rest as it was") {
  const std::string input = std::string(64, 'a') + std::string(136, 'b');
  const std::string expected = "vm-001" + std::string(58, '\0') + std::string(136, 'b');
  for (size_t piece = 1; piece <= input.size(); ++piece) CHECK(echo_in_pieces(input, piece) == expected);
  CHECK(echo_in_pieces(std::string(63, 'a'), 63).empty());
  CHECK(host_of(expected) == "vm-001");
}

TEST_CASE("ctraffic: names that do not fit, and servers that say none") {
  CHECK(host_block(std::string(100, 'x')) == std::string(64, 'x'));
  CHECK(host_of(std::string(64, 'x')).empty());
  CHECK(host_of(std::string(64, '\0')).empty());
  CHECK(host_of("").empty());
}

TEST_CASE("ctraffic: a datagram keeps its length") {
  const auto answer = echo_datagrams("vm-001");
  std::string small(3, 'a');
  CHECK(answer(small) == "vm-");
  std::string large(70, 'a');
  CHECK(answer(large) == "vm-001" + std::string(58, '\0') + "aaaaaa");
  CHECK(answer({}).empty());
}

TEST_CASE("ctraffic: the bucket lets through its rate, and keeps ten packets at most") {
  TokenBucket bucket(1000, 100, 0, 0);  // 10 packets a second
  CHECK_FALSE(bucket.take(0));
  CHECK(bucket.wait_ns(0) == 100'000'000);
  CHECK_FALSE(bucket.take(99'000'000));
  CHECK(bucket.take(100'000'000));
  CHECK_FALSE(bucket.take(100'000'000));
  // Every wait that it names suffices.
  uint64_t now_ns = 100'000'000;
  for (int i = 0; i < 1000; ++i) {
    now_ns += bucket.wait_ns(now_ns);
    REQUIRE(bucket.take(now_ns));
  }
  CHECK(now_ns == Approx(100.1 * kSecond).epsilon(1e-6));
  // After a long pause.
  int taken = 0;
  while (bucket.take(now_ns + 1000 * kSecond)) ++taken;
  CHECK(taken == 10);
}

TEST_CASE("ctraffic: a bucket that never fills names a wait longer than any run") {
  const TokenBucket bucket(1e-300, 1024, 0, 0);
  CHECK(bucket.wait_ns(0) > uint64_t{1} << 60);
}

Statistics example() {
  Statistics s;
  s.started = "2019-01-21T08:40:08.293474852Z";
  s.duration_ns = 4 * kSecond + 1;
  s.rate_kb_per_s = 100;
  s.connections = 2;
  s.packet_bytes = 1024;
  s.failed_connections = 1;
  s.sent = 40;
  s.received = 39;
  s.failed_connects = 3;
  ConnStats lasting;
  lasting.started_ns = 1;
  lasting.connect_ns = 2;
  lasting.ended_ns = 4 * kSecond;
  lasting.sent = lasting.received = 20;
  lasting.local = "10.0.0.1:40000";
  lasting.remote = "10.0.0.0:5003";
  lasting.host = "vm-002";
  ConnStats lost = lasting;
  lost.ended_ns = 2 * kSecond + kSecond / 2;
  lost.err = "EOF";
  lost.host = "vm-001";
  ConnStats connecting;
  connecting.started_ns = lost.ended_ns;
  connecting.ended_ns = 4 * kSecond;
  s.conn_stats = {lost, lasting, connecting};
  s.samples = {{kSecond, 10, 10, 0}, {2 * kSecond, 20, 20, 0}, {3 * kSecond + kSecond / 2, 35, 35, 1}};
  return s;
}

TEST_CASE("ctraffic: statistics are written as the original writes them") {
  Statistics s = example();
  s.conn_stats.resize(1);
  s.samples.resize(1);
  CHECK(to_json(s) ==
        R"({"Started":"2019-01-21T08:40:08.293474852Z","Duration":4000000001,"Rate":100,"Connections":2,)"
        R"("PacketSize":1024,"FailedConnections":1,"Sent":40,"Received":39,"Dropped":0,"Retransmits":0,)"
        R"("FailedConnects":3,"ConnStats":[{"Started":1,"Connect":2,"Ended":2500000000,"Err":"EOF","Sent":20,)"
        R"("Received":20,"Dropped":0,"Retransmits":0,"Local":"10.0.0.1:40000","Remote":"10.0.0.0:5003",)"
        R"("Host":"vm-001"}],"Samples":[{"Time":1000000000,"Sent":10,"Received":10,"Dropped":0}]})"
        "\n");
  s.conn_stats.clear();
  s.samples.clear();
  CHECK(to_json(s).ends_with("\"FailedConnects\":3}\n"));
}

TEST_CASE("ctraffic: what was written is read back") {
  const std::string text = to_json(example());
  const auto read = from_json(text, "test");
  REQUIRE(read);
  CHECK(to_json(*read) == text);
}

TEST_CASE("ctraffic: a file that holds something else is refused by name") {
  for (const char* text : {"", "[]", "{", R"({"Sent": "many"})", R"({"ConnStats": 1})", R"({"Samples": [1]})",
                           R"({"ConnStats": [{"Err": 1}]})"}) {
    INFO(text);
    const auto read = from_json(text, "data.json");
    REQUIRE_FALSE(read);
    CHECK(read.error().message.starts_with("data.json: "));
  }
  CHECK_FALSE(read_statistics("/nonexistent/data.json"));
}

TEST_CASE("ctraffic: analyze hosts") {
  const auto table = analyze_hosts(example());
  REQUIRE(table);
  CHECK(*table == "Lost connections: 1\n  vm-001 1\nLasting connections: 1\n  vm-002 1\n");
}

TEST_CASE("ctraffic: analyze connections") {
  const auto table = analyze_connections(example());
  REQUIRE(table);
  CHECK(*table ==
        "Time Active New Failed Connecting\n"
        "0.5 2 2 0 0\n"
        "1.5 2 0 0 0\n"
        "2.5 1 1 1 1\n"
        "3.5 1 0 0 1\n");
  Statistics unfinished = example();
  unfinished.conn_stats[1].ended_ns = 0;
  CHECK_FALSE(analyze_connections(unfinished));
}

TEST_CASE("ctraffic: analyze throughput") {
  const auto table = analyze_throughput(example());
  REQUIRE(table);
  CHECK(*table == "Time Throughput\n1.5 10\n2.75 10\n");
  Statistics without = example();
  without.samples.clear();
  CHECK_FALSE(analyze_throughput(without));
}

}  // namespace
