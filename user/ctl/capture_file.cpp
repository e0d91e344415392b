#include "user/ctl/capture_file.h"

#include <algorithm>
#include <cstring>
#include <istream>
#include <limits>
#include <ostream>

#include "user/base/clock.h"

namespace xdplb {
namespace {

constexpr uint32_t kMagicMicro = 0xa1b2c3d4;
constexpr uint32_t kMagicNano = 0xa1b23c4d;
constexpr uint32_t kSectionHeader = 0x0a0d0d0a;
constexpr uint32_t kByteOrderMagic = 0x1a2b3c4d;
constexpr uint32_t kInterfaceBlock = 1, kObsoletePacketBlock = 2, kSimplePacketBlock = 3, kEnhancedPacketBlock = 6;
constexpr uint16_t kOptionEnd = 0, kOptionTimeResolution = 9, kOptionTimeOffset = 14;
constexpr uint16_t kLinkEthernet = 1;
constexpr uint32_t kBlockFrame = 12;  // type, length, length again

template <typename Int>
Int load(const uint8_t* at) {
  Int value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <typename Int>
void store(uint8_t* at, Int value) {
  std::memcpy(at, &value, sizeof value);
}

// Times before 1970 or beyond 2554 are none that a capture has.
uint64_t to_ns(uint64_t units, uint64_t units_per_s, int64_t offset_s) {
  __extension__ using Wide = __int128;
  const Wide ns = static_cast<Wide>(units) * kNsPerSec / units_per_s + static_cast<Wide>(offset_s) * kNsPerSec;
  return static_cast<uint64_t>(std::clamp<Wide>(ns, 0, std::numeric_limits<uint64_t>::max()));
}

uint64_t time_units(uint8_t resolution) {
  const uint32_t power = std::min<uint32_t>(resolution & 0x7f, resolution & 0x80 ? 63 : 19);
  if ((resolution & 0x80) != 0) return uint64_t{1} << power;
  uint64_t units = 1;
  for (uint32_t i = 0; i < power; ++i) units *= 10;
  return units;
}

Error not_ethernet(uint32_t link_type) {
  return fail("The capture has link type {}, not Ethernet (1)", link_type);
}

}  // namespace

size_t CaptureReader::read(void* to, size_t len_bytes) {
  in_->read(static_cast<char*>(to), static_cast<std::streamsize>(len_bytes));
  return static_cast<size_t>(in_->gcount());
}

uint16_t CaptureReader::u16(const uint8_t* at) const {
  const auto value = load<uint16_t>(at);
  return swapped_ ? __builtin_bswap16(value) : value;
}

uint32_t CaptureReader::u32(const uint8_t* at) const {
  const auto value = load<uint32_t>(at);
  return swapped_ ? __builtin_bswap32(value) : value;
}

Error CaptureReader::damaged(const char* what) const {
  return fail("The capture is damaged after packet {}: {}", frames_, what);
}

Result<CaptureReader> CaptureReader::open(std::istream& in) {
  CaptureReader reader(in);
  uint8_t header[24];
  if (reader.read(header, 8) < 8) return fail("This is no capture: it is shorter than the header of one");
  const auto magic = load<uint32_t>(header);
  if (magic == kSectionHeader) {
    reader.pcapng_ = true;
    if (auto ok = reader.begin_section({header + 4, 4}); !ok) return ok.error();
    return reader;
  }
  const uint32_t other_order = __builtin_bswap32(magic);
  reader.swapped_ = other_order == kMagicMicro || other_order == kMagicNano;
  const uint32_t known = reader.swapped_ ? other_order : magic;
  if (known != kMagicMicro && known != kMagicNano) return fail("This is no capture: neither pcap nor pcapng");
  reader.units_per_s_ = known == kMagicNano ? 1'000'000'000 : 1'000'000;
  if (reader.read(header + 8, 16) < 16) return reader.damaged("the file header is cut off");
  // The upper half says how long the frames' check sequences are, if they are there.
  const uint32_t link_type = reader.u32(header + 20) & 0xffff;
  if (link_type != kLinkEthernet) return not_ethernet(link_type);
  return reader;
}

Result<bool> CaptureReader::next(CapturedFrame& frame) {
  auto found = pcapng_ ? next_of_pcapng(frame) : next_of_pcap(frame);
  if (found && *found) ++frames_;
  return found;
}

Result<bool> CaptureReader::next_of_pcap(CapturedFrame& frame) {
  uint8_t header[16];
  const size_t got = read(header, sizeof header);
  if (got == 0) return false;
  if (got < sizeof header) return damaged("it ends inside a packet's header");
  const uint32_t len_bytes = u32(header + 8);
  if (len_bytes > kMaxCaptureFrameBytes) return damaged("a packet of impossible length");
  frame.time_ns = uint64_t{u32(header)} * kNsPerSec + uint64_t{u32(header + 4)} * (kNsPerSec / units_per_s_);
  frame.wire_len_bytes = std::max(u32(header + 12), len_bytes);
  frame.bytes.resize(len_bytes);
  if (read(frame.bytes.data(), len_bytes) < len_bytes) return damaged("it ends inside a packet");
  return true;
}

Result<bool> CaptureReader::next_of_pcapng(CapturedFrame& frame) {
  for (;;) {
    uint8_t header[8];
    const size_t got = read(header, sizeof header);
    if (got == 0) return false;
    if (got < sizeof header) return damaged("it ends inside a block's header");
    if (load<uint32_t>(header) == kSectionHeader) {
      if (auto ok = begin_section({header + 4, 4}); !ok) return ok.error();
      continue;
    }
    auto found = read_block(u32(header), u32(header + 4), frame);
    if (!found || *found) return found;
  }
}

// A section has a byte order and interfaces of its own.
Result<void> CaptureReader::begin_section(std::span<const uint8_t> raw_length) {
  uint8_t order[4];
  if (read(order, sizeof order) < sizeof order) return damaged("a section header is cut off");
  const auto magic = load<uint32_t>(order);
  if (magic != kByteOrderMagic && __builtin_bswap32(magic) != kByteOrderMagic) {
    return damaged("a section header without its magic number");
  }
  swapped_ = magic != kByteOrderMagic;
  interfaces_.clear();
  const uint32_t total_bytes = u32(raw_length.data());
  constexpr uint32_t kSectionBytesMin = 28;
  if (total_bytes % 4 != 0 || total_bytes < kSectionBytesMin || total_bytes > kMaxCaptureBlockBytes) {
    return damaged("a section header of impossible length");
  }
  block_.resize(total_bytes - kBlockFrame);
  if (read(block_.data(), block_.size()) < block_.size()) return damaged("a section header is cut off");
  if (u32(block_.data() + block_.size() - 4) != total_bytes) return damaged("a section header's lengths differ");
  if (u16(block_.data()) != 1) return fail("The capture is of pcapng version {}, not 1", u16(block_.data()));
  return {};
}

Result<bool> CaptureReader::read_block(uint32_t type, uint32_t total_bytes, CapturedFrame& frame) {
  if (total_bytes % 4 != 0 || total_bytes < kBlockFrame || total_bytes > kMaxCaptureBlockBytes) {
    return damaged("a block of impossible length");
  }
  block_.resize(total_bytes - 8);
  if (read(block_.data(), block_.size()) < block_.size()) return damaged("it ends inside a block");
  if (u32(block_.data() + block_.size() - 4) != total_bytes) return damaged("a block's two lengths differ");
  const std::span<const uint8_t> body = std::span(block_).first(block_.size() - 4);
  switch (type) {
    case kInterfaceBlock: {
      if (auto ok = add_interface(body); !ok) return ok.error();
      return false;
    }
    case kObsoletePacketBlock:
    case kSimplePacketBlock:
    case kEnhancedPacketBlock: return take_frame(type, body, frame);
    default: return false;
  }
}

Result<void> CaptureReader::add_interface(std::span<const uint8_t> body) {
  if (body.size() < 8) return damaged("an interface description is too short");
  if (interfaces_.size() == kMaxCaptureInterfaces) return damaged("too many interfaces");
  Interface interface;
  interface.link_type = u16(body.data());
  for (auto options = body.subspan(8); options.size() >= 4;) {
    const uint16_t code = u16(options.data());
    const uint16_t len_bytes = u16(options.data() + 2);
    if (code == kOptionEnd) break;
    const size_t padded = (size_t{len_bytes} + 3) / 4 * 4;
    if (padded > options.size() - 4) return damaged("an option is longer than its block");
    const uint8_t* value = options.data() + 4;
    if (code == kOptionTimeResolution && len_bytes >= 1) interface.units_per_s = time_units(*value);
    if (code == kOptionTimeOffset && len_bytes >= 8) {
      const auto raw = load<uint64_t>(value);
      interface.offset_s = static_cast<int64_t>(swapped_ ? __builtin_bswap64(raw) : raw);
    }
    options = options.subspan(4 + padded);
  }
  interfaces_.push_back(interface);
  return {};
}

Result<bool> CaptureReader::take_frame(uint32_t type, std::span<const uint8_t> body, CapturedFrame& frame) {
  const bool simple = type == kSimplePacketBlock;
  const size_t header_bytes = simple ? 4 : 20;
  if (body.size() < header_bytes) return damaged("a packet block is too short");
  const uint8_t* at = body.data();
  const uint32_t number = simple ? 0 : type == kEnhancedPacketBlock ? u32(at) : u16(at);
  if (number >= interfaces_.size()) return damaged("a packet of an interface that was not described");
  const Interface& interface = interfaces_[number];
  if (interface.link_type != kLinkEthernet) return not_ethernet(interface.link_type);
  const uint32_t room = static_cast<uint32_t>(body.size() - header_bytes);
  const uint32_t len_bytes = simple ? std::min(u32(at), room) : u32(at + 12);
  if (len_bytes > room || len_bytes > kMaxCaptureFrameBytes) return damaged("a packet of impossible length");
  frame.wire_len_bytes = std::max(simple ? u32(at) : u32(at + 16), len_bytes);
  const auto data = body.subspan(header_bytes, len_bytes);
  frame.bytes.assign(data.begin(), data.end());
  // A simple packet has no time: it came when the one before it did.
  if (!simple) {
    const uint64_t units = uint64_t{u32(at + 4)} << 32 | u32(at + 8);
    frame.time_ns = to_ns(units, interface.units_per_s, interface.offset_s);
  }
  return true;
}

CaptureWriter::CaptureWriter(std::ostream& out) : out_(&out) {
  uint8_t header[24] = {};
  store<uint32_t>(header, kMagicMicro);
  store<uint16_t>(header + 4, 2);
  store<uint16_t>(header + 6, 4);
  store<uint32_t>(header + 16, kMaxCaptureFrameBytes);
  store<uint32_t>(header + 20, kLinkEthernet);
  out.write(reinterpret_cast<const char*>(header), sizeof header);
}

void CaptureWriter::write(std::span<const uint8_t> frame, uint64_t time_ns) {
  uint8_t header[16];
  store(header, static_cast<uint32_t>(time_ns / kNsPerSec));
  store(header + 4, static_cast<uint32_t>(time_ns % kNsPerSec / kNsPerUs));
  store(header + 8, static_cast<uint32_t>(frame.size()));
  store(header + 12, static_cast<uint32_t>(frame.size()));
  out_->write(reinterpret_cast<const char*>(header), sizeof header);
  out_->write(reinterpret_cast<const char*>(frame.data()), static_cast<std::streamsize>(frame.size()));
}

}  // namespace xdplb
