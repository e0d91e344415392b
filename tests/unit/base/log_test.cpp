#include "user/base/log.h"

#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "user/base/clock.h"

#include <catch2/catch.hpp>

using namespace xdplb;

namespace {

// 2026-11-21 14:51:12.000123 UTC
constexpr uint64_t kWhenNs = 1'795'272'672 * kNsPerSec + 123'456;

nlohmann::json parsed(std::string_view text, LogFields fields = {}) {
  return nlohmann::json::parse(format_log_line(LogStyle::json, LogLevel::warning, text, fields, kWhenNs));
}

}  // namespace

TEST_CASE("a line of text begins with its level, one for the journal with the level's number") {
  const auto line = [](LogStyle style, LogLevel level) { return format_log_line(style, level, "so", {}, kWhenNs); };
  CHECK(line(LogStyle::text, LogLevel::info) == "so");
  CHECK(line(LogStyle::text, LogLevel::warning) == "warning: so");
  CHECK(line(LogStyle::text, LogLevel::error) == "error: so");
  CHECK(line(LogStyle::journal, LogLevel::error) == "<3>error: so");
  CHECK(line(LogStyle::journal, LogLevel::warning) == "<4>warning: so");
  CHECK(line(LogStyle::journal, LogLevel::info) == "<6>so");
}

TEST_CASE("a line of JSON has time, level, message and fields") {
  const auto json = parsed("[eth2] is down", {{"generation", uint64_t{7}}, {"device", "eth2"}});
  CHECK(json == nlohmann::json{{"time", "2026-11-21T14:51:12.000123Z"},
                               {"level", "warning"},
                               {"message", "[eth2] is down"},
                               {"generation", 7},
                               {"device", "eth2"}});
}

TEST_CASE("whatever a message holds, its line is JSON") {
  CHECK(parsed("say \"a\\b\"\n\t\x01\x7f")["message"] == "say \"a\\b\"\n\t\x01\x7f");
  CHECK(parsed("Zürich, 東京, 🌍")["message"] == "Zürich, 東京, 🌍");
  CHECK(parsed("cut \xe6\x9d")["message"] == "cut \xef\xbf\xbd\xef\xbf\xbd");
  CHECK(parsed("\xff over\xc0\xaf")["message"] == "\xef\xbf\xbd over\xef\xbf\xbd\xef\xbf\xbd");  // overlong
  CHECK(parsed("\xed\xa0\x80")["message"] == "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");            // a surrogate
  CHECK(format_log_line(LogStyle::json, LogLevel::info, "two\nlines", {}, 0).find('\n') == std::string::npos);
}

TEST_CASE("standard error is the journal's where device and inode say so") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  struct stat st {};
  REQUIRE(::fstat(ends[1], &st) == 0);
  const std::string stream = fmt::format("{}:{}", st.st_dev, st.st_ino);
  CHECK(is_journal(ends[1], stream.c_str()));
  CHECK_FALSE(is_journal(ends[1], (stream + "0").c_str()));
  CHECK_FALSE(is_journal(ends[1], ""));
  CHECK_FALSE(is_journal(ends[1], nullptr));
  ::close(ends[0]);
  ::close(ends[1]);
  CHECK_FALSE(is_journal(ends[1], stream.c_str()));
}

TEST_CASE("styles by name") {
  CHECK(parse_log_style("json") == LogStyle::json);
  CHECK_FALSE(parse_log_style("xml"));
}
