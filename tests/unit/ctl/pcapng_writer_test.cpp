#include "user/ctl/pcapng_writer.h"

#include <catch2/catch.hpp>
#include <sstream>

#include "user/ctl/capture_file.h"

namespace xdplb {

TEST_CASE("pcapng writer: what is written can be read again, wherever the file ends between two packets") {
  std::stringstream file;
  PcapngWriter writer(file, {"eth2 in", "eth1 out"}, 64);
  std::vector<std::string> prefixes;
  constexpr uint64_t kTime = 1'700'000'000'123'456'789;
  for (uint32_t n = 0; n < 20; ++n) {
    const std::vector<uint8_t> bytes(10 + n, static_cast<uint8_t>(n));
    writer.write(n % 2, bytes, 100 + n, kTime + n, std::string(n, 'c'));
    prefixes.push_back(file.str());
  }
  for (uint32_t end = 0; end < prefixes.size(); ++end) {
    std::istringstream in(prefixes[end]);
    auto reader = CaptureReader::open(in);
    REQUIRE(reader);
    CapturedFrame frame;
    for (uint32_t n = 0; n <= end; ++n) {
      const auto more = reader->next(frame);
      REQUIRE((more && *more));
      CHECK(frame.bytes == std::vector<uint8_t>(10 + n, static_cast<uint8_t>(n)));
      CHECK(frame.wire_len_bytes == 100 + n);
      CHECK(frame.time_ns == kTime + n);
    }
    const auto more = reader->next(frame);
    REQUIRE(more);
    CHECK_FALSE(*more);
  }
}

}  // namespace xdplb
