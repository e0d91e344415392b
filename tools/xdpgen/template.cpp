#include "tools/xdpgen/template.h"

#include <cmath>
#include <cstring>

#include "user/net/headers.h"

namespace xdplb::xdpgen {
namespace {

constexpr uint32_t kUdpBytes = sizeof(UdpHeader);
constexpr uint8_t kTtl = 64;
constexpr uint16_t kDontFragment = 0x4000;

// The one's complement sum of words as they lie; an even number of bytes.
uint64_t sum_words(const uint8_t* bytes, size_t len_bytes) {
  uint64_t sum = 0;
  for (size_t i = 0; i + 1 < len_bytes; i += 2) {
    uint16_t word;
    std::memcpy(&word, bytes + i, sizeof word);
    sum += word;
  }
  return sum;
}

// The last four bytes of a source address say which flow it is.
constexpr size_t kFlowBytes = 4;

class Writer {
 public:
  Writer(const Options& options, const MacAddr& from, Template& out)
      : options_(options), out_(out), bytes_(out.frame.data()), v4_(options.vip.is_v4()) {
    const MacAddr& source = options.from ? *options.from : from;
    std::memcpy(bytes_, options.to.bytes.data(), 6);
    std::memcpy(bytes_ + 6, source.bytes.data(), 6);
    put16(12, v4_ ? kEtherIpv4 : kEtherIpv6);
  }

  void write() {
    const uint32_t stamp_at = v4_ ? PACKET_STAMP_AT4 : PACKET_STAMP_AT6;
    const uint32_t udp_at = stamp_at - kUdpBytes;
    const uint32_t udp_len = options_.size_bytes - udp_at;
    if (v4_) {
      ipv4(udp_at);
    } else {
      ipv6(udp_len);
    }
    put16(udp_at + 2, options_.port);
    put16(udp_at + 4, udp_len);
    // Pseudo-header: addresses, protocol and length. What the flow decides is still zero.
    const uint32_t addresses_at = v4_ ? 26 : 22;
    out_.run.udp_sum = sum_words(bytes_ + addresses_at, udp_at - addresses_at) + (uint64_t{kProtoUdp} << 8) +
                       sum_words(bytes_ + udp_at + 4, 2) + sum_words(bytes_ + udp_at, kUdpBytes);
    pattern(stamp_at + PACKET_STAMP_BYTES);
  }

 private:
  void put16(size_t at, uint32_t value) {
    bytes_[at] = static_cast<uint8_t>(value >> 8);
    bytes_[at + 1] = static_cast<uint8_t>(value);
  }

  void ipv4(uint32_t udp_at) {
    auto& ip = *reinterpret_cast<Ipv4Header*>(bytes_ + sizeof(EthernetHeader));
    ip.version_ihl = 0x45;
    put16(16, options_.size_bytes - static_cast<uint32_t>(sizeof(EthernetHeader)));
    put16(20, kDontFragment);
    ip.ttl = kTtl;
    ip.protocol = kProtoUdp;
    std::memcpy(ip.dst, options_.vip.bytes.data() + 12, sizeof ip.dst);
    out_.run.ip_sum = sum_words(bytes_ + sizeof(EthernetHeader), udp_at - sizeof(EthernetHeader));
  }

  void ipv6(uint32_t udp_len) {
    auto& ip = *reinterpret_cast<Ipv6Header*>(bytes_ + sizeof(EthernetHeader));
    bytes_[sizeof(EthernetHeader)] = 0x60;
    put16(18, udp_len);
    ip.next_header = kProtoUdp;
    ip.hop_limit = kTtl;
    std::memcpy(ip.src, options_.source.bytes.data(), sizeof ip.src - kFlowBytes);
    std::memcpy(ip.dst, options_.vip.bytes.data(), sizeof ip.dst);
  }

  void pattern(size_t at) {
    for (uint32_t i = 0; at + 8 <= out_.frame.size(); ++i, at += 8) {
      const uint32_t words[2] = {packet_pattern_word(i), ~packet_pattern_word(i)};
      std::memcpy(bytes_ + at, words, sizeof words);
    }
  }

  const Options& options_;
  Template& out_;
  uint8_t* bytes_;
  bool v4_;
};

}  // namespace

Template make_template(const Options& options, const MacAddr& from) {
  Template out;
  out.frame.resize(options.size_bytes);
  Writer(options, from, out).write();
  xdpgen_run& run = out.run;
  run.family = options.vip.is_v4() ? 4 : 6;
  run.flows = options.flows;
  for (size_t i = 12; i < 16; ++i) run.source = run.source << 8 | options.source.bytes[i];
  if (options.rate != 0) {
    run.interval = static_cast<uint64_t>(std::llround(1e9 / options.rate * (1 << XDPGEN_TIME_SHIFT)));
  }
  std::memcpy(run.header, out.frame.data(), run.family == 4 ? PACKET_STAMP_AT4 : PACKET_STAMP_AT6);
  run.sequence = 1;
  return out;
}

}  // namespace xdplb::xdpgen
