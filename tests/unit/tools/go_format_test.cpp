#include "tools/common/go_format.h"

#include <catch2/catch.hpp>
#include <cstdlib>

#include "tools/common/json_object.h"

namespace {

using namespace xdplb::tools;

TEST_CASE("numbers are printed as Go's Println prints them") {
  CHECK(print_float(0.5) == "0.5");
  CHECK(print_float(1) == "1");
  CHECK(print_float(0) == "0");
  CHECK(print_float(499.99) == "499.99");
  CHECK(print_float(1.500038023) == "1.500038023");
  CHECK(print_float(1e20) == "100000000000000000000");
  CHECK(print_float(1e21) == "1e+21");
  CHECK(print_float(0.0001) == "0.0001");
  CHECK(print_float(0.00001) == "1e-05");
  CHECK(print_float(-2.25) == "-2.25");
}

TEST_CASE("numbers are encoded as encoding/json encodes them") {
  CHECK(json_float(100) == "100");
  CHECK(json_float(0.1) == "0.1");
  CHECK(json_float(0.00001) == "0.00001");
  CHECK(json_float(1e-7) == "1e-7");
  CHECK(json_float(1e-10) == "1e-10");
  CHECK(json_float(1e22) == "1e+22");
}

TEST_CASE("strings from the network cannot break the JSON") {
  CHECK(json_string("vm-001") == R"("vm-001")");
  CHECK(json_string("a\"b\\c\n") == R"("a\"b\\c\n")");
  CHECK(json_string(std::string_view("\0\x1b", 2)) == R"("\u0000\u001b")");
  CHECK(json_string("<&>") == R"("\u003c\u0026\u003e")");
  CHECK(json_string("gr\u00fcn \u20ac \U0001f600") == "\"gr\u00fcn \u20ac \U0001f600\"");
  // Not UTF-8: a lone lead byte, a lone continuation, an overlong form, a surrogate, beyond U+10FFFF.
  CHECK(json_string("\xc3") == R"("\ufffd")");
  CHECK(json_string("\x80") == R"("\ufffd")");
  CHECK(json_string("\xc0\xaf") == R"("\ufffd\ufffd")");
  CHECK(json_string("\xed\xa0\x80") == R"("\ufffd\ufffd\ufffd")");
  CHECK(json_string("\xf4\x90\x80\x80") == R"("\ufffd\ufffd\ufffd\ufffd")");
}

TEST_CASE("a JSON object keeps the order of its members") {
  JsonObject object;
  object.add("b", 1).add("a", "x").add("rate", 10.0).raw("list", "[]");
  CHECK(object.text() == R"({"b":1,"a":"x","rate":10,"list":[]})");
  CHECK(JsonObject().text() == "{}");
}

// Sets the time zone for one test.
class Zone {
 public:
  explicit Zone(const char* name) {
    setenv("TZ", name, 1);
    tzset();
  }
  ~Zone() {
    unsetenv("TZ");
    tzset();
  }
};

TEST_CASE("times are RFC 3339 with the local offset and no trailing zeros") {
  const timespec time{1540472014, 652534263};
  {
    const Zone utc("UTC0");
    CHECK(rfc3339(time) == "2018-10-25T12:53:34.652534263Z");
    CHECK(rfc3339({1540472014, 500000000}) == "2018-10-25T12:53:34.5Z");
    CHECK(rfc3339({1540472014, 0}) == "2018-10-25T12:53:34Z");
  }
  {
    const Zone east("XXX-2");
    CHECK(rfc3339(time) == "2018-10-25T14:53:34.652534263+02:00");
  }
  {
    const Zone west("XXX3:30");
    CHECK(rfc3339(time) == "2018-10-25T09:23:34.652534263-03:30");
  }
}

}  // namespace
