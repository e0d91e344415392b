// Any bytes as a capture: frames no longer than allowed and no more of them than the bytes can hold, then an end or
// an error. What is read can be written, and is the same when read again.
#include <sstream>

#include "tests/fuzz/fuzz.h"
#include "user/base/check.h"
#include "user/ctl/capture_file.h"

XDPLB_FUZZ_TARGET(capture) {
  using namespace xdplb;
  std::istringstream in(std::string(reinterpret_cast<const char*>(data), size));
  auto reader = CaptureReader::open(in);
  if (!reader) return;
  std::stringstream copy;
  CaptureWriter writer(copy);
  std::vector<std::vector<uint8_t>> frames;
  CapturedFrame frame;
  size_t bytes = 0;
  for (;;) {
    const auto more = reader->next(frame);
    if (!more || !*more) break;
    bytes += frame.bytes.size();
    XDPLB_CHECK(frame.bytes.size() <= kMaxCaptureFrameBytes && frame.bytes.size() <= frame.wire_len_bytes);
    XDPLB_CHECK(bytes <= size);
    writer.write(frame.bytes, frame.time_ns);
    frames.push_back(frame.bytes);
  }
  XDPLB_CHECK(frames.size() <= size / 16);
  auto again = CaptureReader::open(copy);
  XDPLB_CHECK(again.has_value());
  for (const auto& expected : frames) {
    const auto more = again->next(frame);
    XDPLB_CHECK(more && *more && frame.bytes == expected);
  }
}
