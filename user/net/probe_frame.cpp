#include "user/net/probe_frame.h"

#include <algorithm>

#include "user/net/checksum.h"
#include "user/net/headers.h"
#include "user/net/parse.h"

namespace xdplb {
namespace {

using Bytes = std::vector<uint8_t>;

template <typename Header>
void append(Bytes& bytes, const Header& header) {
  const auto* first = reinterpret_cast<const uint8_t*>(&header);
  bytes.insert(bytes.end(), first, first + sizeof header);
}

Bytes transport_of(const FlowKey& key) {
  Bytes bytes;
  if (key.protocol == kProtoTcp) {
    TcpHeader tcp{};
    tcp.src_port.set(key.src_port);
    tcp.dst_port.set(key.dst_port);
    tcp.data_offset = sizeof tcp / 4 << 4;
    tcp.flags = kTcpAck;
    append(bytes, tcp);
  } else if (key.protocol == kProtoUdp) {
    UdpHeader udp{};
    udp.src_port.set(key.src_port);
    udp.dst_port.set(key.dst_port);
    udp.len.set(sizeof udp);
    append(bytes, udp);
  } else if (key.protocol == kProtoSctp) {
    SctpHeader sctp{};
    sctp.src_port.set(key.src_port);
    sctp.dst_port.set(key.dst_port);
    append(bytes, sctp);
  } else {
    IcmpHeader icmp{};  // of other protocols nothing is read
    icmp.type = key.protocol == kProtoIcmp6 ? kIcmp6EchoRequest : kIcmpEchoRequest;
    append(bytes, icmp);
  }
  return bytes;
}

constexpr uint8_t kHops = 64;

Ipv4Header ipv4_of(const FlowKey& key, size_t payload_bytes) {
  Ipv4Header ip{};
  ip.version_ihl = 4 << 4 | sizeof ip / 4;
  ip.total_len.set(static_cast<uint16_t>(sizeof ip + payload_bytes));
  ip.ttl = kHops;
  ip.protocol = key.protocol;
  std::copy_n(key.src.bytes.begin() + 12, sizeof ip.src, ip.src);
  std::copy_n(key.dst.bytes.begin() + 12, sizeof ip.dst, ip.dst);
  const auto sum = checksum_fold({reinterpret_cast<const uint8_t*>(&ip), sizeof ip});
  ip.checksum.set(static_cast<uint16_t>(~sum));
  return ip;
}

Ipv6Header ipv6_of(const FlowKey& key, size_t payload_bytes) {
  Ipv6Header ip{};
  ip.version_class_label.set(6u << 28);
  ip.payload_len.set(static_cast<uint16_t>(payload_bytes));
  ip.next_header = key.protocol;
  ip.hop_limit = kHops;
  std::copy_n(key.src.bytes.begin(), sizeof ip.src, ip.src);
  std::copy_n(key.dst.bytes.begin(), sizeof ip.dst, ip.dst);
  return ip;
}

}  // namespace

std::vector<uint8_t> make_probe_frame(const FlowKey& key) {
  const Bytes payload = transport_of(key);
  EthernetHeader ethernet{};
  ethernet.src[0] = ethernet.dst[0] = 2;  // locally administered
  ethernet.type.set(key.dst.is_v4() ? kEtherIpv4 : kEtherIpv6);
  Bytes frame;
  append(frame, ethernet);
  if (key.dst.is_v4()) {
    append(frame, ipv4_of(key, payload.size()));
  } else {
    append(frame, ipv6_of(key, payload.size()));
  }
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

}  // namespace xdplb
