// PcapngWriter: a pcapng file of Ethernet frames on named interfaces, times in nanoseconds, a comment with each.
// (What is read, and classic pcap, is user/ctl/capture_file.h.) Blocks are written whole, so a file that ends between
// two calls is a valid one.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace xdplb {

class PcapngWriter {
 public:
  // `out` is opened in binary mode and outlives the writer. `snap_bytes`: of a frame, at most so many are kept.
  PcapngWriter(std::ostream& out, const std::vector<std::string>& interfaces, uint32_t snap_bytes);

  // `interface` counts from 0. `wire_len_bytes`: of the frame, of which `bytes` is the beginning.
  void write(uint32_t interface, std::span<const uint8_t> bytes, uint32_t wire_len_bytes, uint64_t time_ns,
             std::string_view comment);

 private:
  // Length, padding and length again around what is there.
  void write_block(uint32_t type, std::vector<uint8_t> body);

  std::ostream* out_;
};

}  // namespace xdplb
