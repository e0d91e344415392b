// Capture files: pcap and pcapng in, classic pcap out.
//
// Our own and not libpcap, which is linked against D-Bus, systemd and eight more libraries that a privileged daemon
// has no business with. Only what a capture of Ethernet frames needs: times to the nanosecond and whole frames.
//
// Hostile input: lengths are checked before memory is taken for them, at most kMaxCaptureFrameBytes a frame; blocks
// and options that are not known are passed over. Errors name the packet.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <span>
#include <string>
#include <vector>

#include "user/base/result.h"

namespace xdplb {

inline constexpr uint32_t kMaxCaptureFrameBytes = 256u << 10;
inline constexpr uint32_t kMaxCaptureBlockBytes = 16u << 20;  // of pcapng
inline constexpr size_t kMaxCaptureInterfaces = 1024;

struct CapturedFrame {
  uint64_t time_ns = 0;         // since 1970
  uint32_t wire_len_bytes = 0;  // more than there are bytes where the capture cut the frame
  std::vector<uint8_t> bytes;
};

class CaptureReader {
 public:
  // `in` is opened in binary mode and outlives the reader.
  static Result<CaptureReader> open(std::istream& in);

  // False at the end. After an error there is nothing more to be had.
  Result<bool> next(CapturedFrame& frame);

 private:
  explicit CaptureReader(std::istream& in) : in_(&in) {}

  struct Interface {
    uint16_t link_type = 0;
    uint64_t units_per_s = 1'000'000;
    int64_t offset_s = 0;
  };

  Result<bool> next_of_pcap(CapturedFrame& frame);
  Result<bool> next_of_pcapng(CapturedFrame& frame);
  // One block of pcapng, its type and total length read. True where it held a frame.
  Result<bool> read_block(uint32_t type, uint32_t total_bytes, CapturedFrame& frame);
  Result<void> begin_section(std::span<const uint8_t> raw_length);
  Result<void> add_interface(std::span<const uint8_t> body);
  Result<bool> take_frame(uint32_t type, std::span<const uint8_t> body, CapturedFrame& frame);

  // Bytes read: `len_bytes`, or fewer at the end of the file.
  size_t read(void* to, size_t len_bytes);
  [[nodiscard]] uint16_t u16(const uint8_t* at) const;
  [[nodiscard]] uint32_t u32(const uint8_t* at) const;
  [[nodiscard]] Error damaged(const char* what) const;

  std::istream* in_;
  bool swapped_ = false;  // in the other byte order than ours
  bool pcapng_ = false;
  uint64_t units_per_s_ = 1'000'000;  // of pcap
  std::vector<Interface> interfaces_;
  std::vector<uint8_t> block_;
  uint64_t frames_ = 0;  // read so far
};

// Writes a pcap file of Ethernet frames, times in microseconds: the form that everything reads.
class CaptureWriter {
 public:
  explicit CaptureWriter(std::ostream& out);
  void write(std::span<const uint8_t> frame, uint64_t time_ns);

 private:
  std::ostream* out_;
};

}  // namespace xdplb
