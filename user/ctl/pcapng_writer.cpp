#include "user/ctl/pcapng_writer.h"

#include <cstring>
#include <ostream>

namespace xdplb {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint32_t kSectionHeader = 0x0a0d0d0a, kInterface = 1, kEnhancedPacket = 6;
constexpr uint32_t kByteOrder = 0x1a2b3c4d;
constexpr uint16_t kEthernet = 1;
constexpr uint16_t kOptionEnd = 0, kOptionComment = 1, kOptionInterfaceName = 2, kOptionTimeResolution = 9;
constexpr uint8_t kNanoseconds = 9;  // as a power of ten
constexpr size_t kCommentBytesMax = 4096;

// In the byte order of the host, which the section header tells.
template <typename Int>
void append(Bytes& bytes, Int value) {
  uint8_t raw[sizeof value];
  std::memcpy(raw, &value, sizeof value);
  bytes.insert(bytes.end(), raw, raw + sizeof value);
}

void pad(Bytes& bytes) {
  bytes.resize((bytes.size() + 3) / 4 * 4);
}

void append_option(Bytes& bytes, uint16_t code, std::string_view value) {
  append(bytes, code);
  append(bytes, static_cast<uint16_t>(value.size()));
  bytes.insert(bytes.end(), value.begin(), value.end());
  pad(bytes);
}

void end_options(Bytes& bytes) {
  append(bytes, kOptionEnd);
  append(bytes, uint16_t{0});
}

}  // namespace

PcapngWriter::PcapngWriter(std::ostream& out, const std::vector<std::string>& interfaces, uint32_t snap_bytes)
    : out_(&out) {
  Bytes section;
  append(section, kByteOrder);
  append(section, uint16_t{1});  // version 1.0
  append(section, uint16_t{0});
  append(section, ~uint64_t{0});  // its length is not known
  write_block(kSectionHeader, std::move(section));
  for (const std::string& name : interfaces) {
    Bytes interface;
    append(interface, kEthernet);
    append(interface, uint16_t{0});
    append(interface, snap_bytes);
    append_option(interface, kOptionInterfaceName, name);
    append_option(interface, kOptionTimeResolution,
                  std::string_view(reinterpret_cast<const char*>(&kNanoseconds), 1));
    end_options(interface);
    write_block(kInterface, std::move(interface));
  }
}

void PcapngWriter::write(uint32_t interface, std::span<const uint8_t> bytes, uint32_t wire_len_bytes,
                         uint64_t time_ns, std::string_view comment) {
  Bytes packet;
  append(packet, interface);
  append(packet, static_cast<uint32_t>(time_ns >> 32));
  append(packet, static_cast<uint32_t>(time_ns));
  append(packet, static_cast<uint32_t>(bytes.size()));
  append(packet, wire_len_bytes);
  packet.insert(packet.end(), bytes.begin(), bytes.end());
  pad(packet);
  if (!comment.empty()) {
    append_option(packet, kOptionComment, comment.substr(0, kCommentBytesMax));
    end_options(packet);
  }
  write_block(kEnhancedPacket, std::move(packet));
}

void PcapngWriter::write_block(uint32_t type, std::vector<uint8_t> body) {
  const auto len_bytes = static_cast<uint32_t>(body.size() + 3 * sizeof(uint32_t));
  Bytes block;
  append(block, type);
  append(block, len_bytes);
  block.insert(block.end(), body.begin(), body.end());
  append(block, len_bytes);
  out_->write(reinterpret_cast<const char*>(block.data()), static_cast<std::streamsize>(block.size()));
}

}  // namespace xdplb
