#include "user/ctl/capture_file.h"

#include <catch2/catch.hpp>
#include <sstream>

namespace xdplb {
namespace {

// Bytes in either byte order.
class Bytes {
 public:
  explicit Bytes(bool swapped) : swapped_(swapped) {}
  Bytes& u16(uint16_t v) { return raw(swapped_ ? __builtin_bswap16(v) : v); }
  Bytes& u32(uint32_t v) { return raw(swapped_ ? __builtin_bswap32(v) : v); }
  Bytes& text(const std::string& bytes) {
    text_ += bytes;
    return *this;
  }
  Bytes& block(uint32_t type, const std::string& body) {
    const auto total = static_cast<uint32_t>(body.size() + 12);
    return u32(type).u32(total).text(body).u32(total);
  }
  [[nodiscard]] const std::string& str() const { return text_; }

 private:
  template <typename Int>
  Bytes& raw(Int v) {
    text_.append(reinterpret_cast<const char*>(&v), sizeof v);
    return *this;
  }
  bool swapped_;
  std::string text_;
};

std::string pcap_header(bool swapped, uint32_t magic, uint32_t link_type = 1) {
  return Bytes(swapped).u32(magic).u16(2).u16(4).u32(0).u32(0).u32(65535).u32(link_type).str();
}

std::string section(bool swapped) {
  return Bytes(swapped)
      .block(0x0a0d0d0a, Bytes(swapped).u32(0x1a2b3c4d).u16(1).u16(0).text(std::string(8, '\xff')).str())
      .str();
}

std::string interface(bool swapped, const std::string& options = "", uint16_t link_type = 1) {
  return Bytes(swapped).block(1, Bytes(swapped).u16(link_type).u16(0).u32(0).text(options).str()).str();
}

std::string packet_block(bool swapped, uint32_t iface, uint64_t time, const std::string& frame) {
  Bytes body(swapped);
  body.u32(iface).u32(static_cast<uint32_t>(time >> 32)).u32(static_cast<uint32_t>(time));
  body.u32(static_cast<uint32_t>(frame.size())).u32(static_cast<uint32_t>(frame.size()));
  body.text(frame).text(std::string((4 - frame.size() % 4) % 4, '\0'));
  return Bytes(swapped).block(6, body.str()).str();
}

struct Read {
  std::vector<CapturedFrame> frames;
  std::string error;
};

Read read_all(const std::string& file) {
  std::istringstream in(file);
  Read read;
  auto reader = CaptureReader::open(in);
  if (!reader) {
    read.error = reader.error().message;
    return read;
  }
  CapturedFrame frame;
  for (;;) {
    const auto more = reader->next(frame);
    if (!more) read.error = more.error().message;
    if (!more || !*more) return read;
    read.frames.push_back(frame);
  }
}

std::string as_text(const CapturedFrame& frame) {
  return {frame.bytes.begin(), frame.bytes.end()};
}

TEST_CASE("pcap in either byte order, in micro- and nanoseconds") {
  const bool swapped = GENERATE(false, true);
  const bool nano = GENERATE(false, true);
  Bytes file(swapped);
  file.text(pcap_header(swapped, nano ? 0xa1b23c4d : 0xa1b2c3d4));
  file.u32(7).u32(123).u32(3).u32(9).text("abc");
  const Read read = read_all(file.str());
  CHECK(read.error.empty());
  REQUIRE(read.frames.size() == 1);
  CHECK(read.frames[0].time_ns == 7'000'000'000 + (nano ? 123 : 123'000));
  CHECK(read.frames[0].wire_len_bytes == 9);
  CHECK(as_text(read.frames[0]) == "abc");
}

TEST_CASE("pcapng in either byte order, with blocks in between that nobody asked for") {
  const bool swapped = GENERATE(false, true);
  std::string file = section(swapped) + interface(swapped);
  file += Bytes(swapped).block(0x0bad, "whatever").str() + packet_block(swapped, 0, 1'000'001, "frame");
  file += Bytes(swapped).block(3, Bytes(swapped).u32(3).text("xyz").text(std::string(1, '\0')).str()).str();
  const Read read = read_all(file);
  CHECK(read.error.empty());
  REQUIRE(read.frames.size() == 2);
  CHECK(as_text(read.frames[0]) == "frame");
  CHECK(read.frames[0].time_ns == 1'000'001'000);
  CHECK(as_text(read.frames[1]) == "xyz");
  CHECK(read.frames[1].time_ns == read.frames[0].time_ns);
}

TEST_CASE("pcapng interfaces have their own clocks; a section begins anew") {
  const auto resolution = [](char value) { return Bytes(false).u16(9).u16(1).text({value, 0, 0, 0}).str(); };
  const std::string offset = Bytes(false).u16(14).u16(8).u32(100).u32(0).str();
  std::string file = section(false) + interface(false, resolution(9)) + interface(false, resolution('\x8a')) +
                     interface(false, resolution(0) + offset);
  file += packet_block(false, 0, 5, "a") + packet_block(false, 1, 1536, "b") + packet_block(false, 2, 3, "c");
  file += section(true) + interface(true) + packet_block(true, 0, 8, "d");
  const Read read = read_all(file);
  CHECK(read.error.empty());
  REQUIRE(read.frames.size() == 4);
  CHECK(read.frames[0].time_ns == 5);
  CHECK(read.frames[1].time_ns == 1'500'000'000);
  CHECK(read.frames[2].time_ns == 103'000'000'000);
  CHECK(read.frames[3].time_ns == 8'000);
}

TEST_CASE("what is not a capture of Ethernet frames, or damaged, is refused with where") {
  const std::string good = pcap_header(false, 0xa1b2c3d4);
  const std::string ng = section(false) + interface(false);
  const std::pair<std::string, std::string> cases[] = {
      {"", "shorter than the header"},
      {"12345678", "neither pcap nor pcapng"},
      {good.substr(0, 20), "file header is cut off"},
      {pcap_header(false, 0xa1b2c3d4, 113), "link type 113"},
      {good + "123", "after packet 0: it ends inside a packet's header"},
      {good + Bytes(false).u32(0).u32(0).u32(0xffffffff).u32(0).str(), "impossible length"},
      {good + Bytes(false).u32(0).u32(0).u32(4).u32(4).text("ab").str(), "it ends inside a packet"},
      {section(false) + packet_block(false, 0, 1, "a"), "interface that was not described"},
      {section(false) + interface(false, "", 113) + packet_block(false, 0, 1, "a"), "link type 113"},
      {ng + packet_block(false, 0, 1, "a") + Bytes(false).u32(6).u32(8).str(),
       "after packet 1: a block of impossible"},
      {ng + Bytes(false).u32(6).u32(0xfffffff0).str(), "a block of impossible length"},
      {ng + Bytes(false).u32(9).u32(12).u32(16).str(), "two lengths differ"},
      {ng + Bytes(false).block(6, "1234").str(), "packet block is too short"},
      {ng + Bytes(false).block(1, Bytes(false).u16(1).u16(0).u32(0).u16(2).u16(99).str()).str(), "option is longer"},
  };
  for (const auto& [file, message] : cases) {
    CAPTURE(message);
    CHECK_THAT(read_all(file).error, Catch::Matchers::Contains(message));
  }
}

TEST_CASE("what is written is read back") {
  std::stringstream file;
  CaptureWriter writer(file);
  const std::vector<uint8_t> frame{1, 2, 3};
  writer.write(frame, 5'000'006'789);
  const Read read = read_all(file.str());
  REQUIRE(read.frames.size() == 1);
  CHECK(read.frames[0].bytes == frame);
  CHECK(read.frames[0].time_ns == 5'000'006'000);
}

}  // namespace
}  // namespace xdplb
