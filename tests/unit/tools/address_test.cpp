#include "tools/common/address.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <set>

#include "tests/unit/ctl/shm_test_dir.h"
#include "tools/common/source_pool.h"

namespace {

using namespace xdplb::tools;

TEST_CASE("HOST:PORT is taken apart") {
  const auto v6 = split_host_port("[1000::]:5001");
  REQUIRE(v6);
  CHECK(v6->first == "1000::");
  CHECK(v6->second == "5001");
  const auto any = split_host_port(":5001");
  REQUIRE(any);
  CHECK(any->first.empty());
  for (const std::string text : {"10.0.0.0", "1000::1:5001", "[::1]", "[::1]5001", "[::1:5001", ""}) {
    INFO(text);
    const auto result = split_host_port(text);
    REQUIRE_FALSE(result);
    CHECK(result.error().message.find("[" + text + "]") != std::string::npos);
  }
}

TEST_CASE("addresses are printed as they are written") {
  for (const std::string text : {"10.0.0.0:5001", "[1000::]:5001", "[::1]:1"}) {
    const auto found = resolve(text, Purpose::connect);
    REQUIRE(found);
    CHECK(found->front().text() == text);
  }
  const auto mapped = resolve("[::ffff:10.0.0.1]:80", Purpose::connect);
  REQUIRE(mapped);
  CHECK(mapped->front().text() == "10.0.0.1:80");
  const auto listen_all = resolve(":5001", Purpose::listen);
  REQUIRE(listen_all);
  CHECK(listen_all->front().text() == "[::]:5001");
}

TEST_CASE("what cannot be resolved is named") {
  for (const std::string text : {"10.0.0.0:", "10.0.0.0:70000x", "no.such.host.invalid:1"}) {
    INFO(text);
    const auto found = resolve(text, Purpose::connect);
    REQUIRE_FALSE(found);
    CHECK(found.error().message.find("[" + text + "]") != std::string::npos);
  }
}

TEST_CASE("source addresses come with and without port and brackets") {
  struct Case {
    const char* text;
    const char* printed;
  };
  const Case cases[] = {{"10.0.0.1", "10.0.0.1:0"},
                        {"10.0.0.1:7000", "10.0.0.1:7000"},
                        {"[1000::1:10.200.200.0]:7000", "[1000::1:ac8:c800]:7000"},
                        {"[::1]", "[::1]:0"},
                        {"2000::5", "[2000::5]:0"}};
  for (const Case& c : cases) {
    INFO(c.text);
    const auto source = parse_source(c.text);
    REQUIRE(source);
    CHECK(source->text() == c.printed);
  }
  CHECK_FALSE(parse_source("example.com"));
  CHECK_FALSE(parse_source(""));
  CHECK_FALSE(parse_source("10.0.0.1:x"));
}

std::set<std::string> picks(const char* text, int count) {
  const auto cidr = SourceCidr::parse(text);
  REQUIRE(cidr);
  std::mt19937_64 random(1);
  std::set<std::string> seen;
  for (int i = 0; i < count; ++i) seen.insert(cidr->pick(random).host_text());
  return seen;
}

TEST_CASE("a prefix yields its addresses, and only those that a host may have") {
  CHECK(picks("50.0.0.7/32", 10) == std::set<std::string>{"50.0.0.7"});
  CHECK(picks("50.0.0.6/31", 100) == std::set<std::string>{"50.0.0.6", "50.0.0.7"});
  CHECK(picks("50.0.0.5/30", 100) == std::set<std::string>{"50.0.0.5", "50.0.0.6"});
  CHECK(picks("2000::4/126", 100) == std::set<std::string>{"2000::5", "2000::6", "2000::7"});
  CHECK(picks("2000::/127", 100) == std::set<std::string>{"2000::", "2000::1"});
  const auto many = picks("50.0.0.0/16", 2000);
  CHECK(many.size() > 1900);
  for (const std::string& address : many) CHECK(address.starts_with("50.0."));
}

TEST_CASE("the same seed yields the same sources") {
  const auto cidr = SourceCidr::parse("2000::/64");
  REQUIRE(cidr);
  SourcePool first(*cidr, 7);
  SourcePool second(*cidr, 7);
  for (int i = 0; i < 10; ++i) CHECK(first.next()->text() == second.next()->text());
}

TEST_CASE("a wrong prefix is refused, and the message names it") {
  for (const std::string text :
       {"50.0.0.0", "50.0.0/16", "50.0.0.0/33", "::/129", "50.0.0.0/", "50.0.0.0/-1", "/8", "50.0.0.0/16x"}) {
    INFO(text);
    const auto cidr = SourceCidr::parse(text);
    REQUIRE_FALSE(cidr);
    CHECK(cidr.error().message.find('"' + text + '"') != std::string::npos);
  }
}

// A file with this text, for as long as it lives.
class TextFile {
 public:
  explicit TextFile(std::string_view text) { std::ofstream(path_) << text; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  xdplb::ShmTestDir directory_;
  std::string path_ = directory_.path() + "/sources";
};

TEST_CASE("a source file is used line by line") {
  const TextFile file("# testers\n10.0.0.1\n\n  10.0.0.2:7000\r\n");
  auto pool = SourcePool::read_file(file.path());
  REQUIRE(pool);
  CHECK(pool->family() == AF_INET);
  CHECK(pool->next()->text() == "10.0.0.1:0");
  CHECK(pool->next()->text() == "10.0.0.2:7000");
  CHECK_FALSE(pool->next().has_value());
}

TEST_CASE("a wrong line of a source file is named with its number") {
  const TextFile file("10.0.0.1\nnonsense\n");
  const auto pool = SourcePool::read_file(file.path());
  REQUIRE_FALSE(pool);
  CHECK(pool.error().message.starts_with(file.path() + ":2: "));
  CHECK_FALSE(SourcePool::read_file("/nonexistent/sources"));
}

TEST_CASE("without sources the kernel chooses, for as long as one asks") {
  SourcePool pool;
  for (int i = 0; i < 3; ++i) CHECK(pool.next()->family() == AF_UNSPEC);
}

}  // namespace
