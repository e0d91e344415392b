#include "user/path/kernel_model.h"

#include <algorithm>
#include <set>

#include "kern/classify.h"
#include "user/lb/vip_table.h"

namespace xdplb {
namespace {

bool bit_is_set(const __u64* words, uint32_t bit) {
  return (words[bit / 64] >> (bit % 64) & 1) != 0;
}

// As is_listened_to in kern/xdp_vip_kern.c.
bool is_listened_to(const xdplb_packet& packet, const xdplb_portset& set) {
  if ((packet.flags & (XDPLB_PACKET_FRAGMENT | XDPLB_PACKET_ICMP)) != 0) return true;
  if ((packet.flags & XDPLB_PACKET_BROKEN) != 0) return false;
  if (bit_is_set(set.protocols, packet.protocol)) return true;
  if ((packet.flags & XDPLB_PACKET_PORTS) == 0) return false;
  if (packet.protocol == XDPLB_PROTO_TCP) return bit_is_set(set.tcp_ports, packet.dst_port);
  if (packet.protocol == XDPLB_PROTO_UDP) return bit_is_set(set.udp_ports, packet.dst_port);
  return bit_is_set(set.sctp_ports, packet.dst_port);
}

}  // namespace

KernelModel::KernelModel(KernelVips vips) : vips_(std::move(vips)) {
  std::set<uint8_t, std::greater<>> lens;
  for (const auto& [prefix, rule] : vips_.rules) {
    if (!prefix.is_host()) lens.insert(prefix.len);
  }
  prefix_lens_.assign(lens.begin(), lens.end());
}

std::optional<VipRule> KernelModel::find(const IpAddr& addr) const {
  if (const auto exact = vips_.rules.find({addr, 128}); exact != vips_.rules.end()) return exact->second;
  for (const uint8_t len : prefix_lens_) {
    const auto found = vips_.rules.find({mask_addr(addr, len), len});
    if (found != vips_.rules.end()) return found->second;
  }
  return std::nullopt;
}

KernelVerdict KernelModel::judge(std::span<const uint8_t> frame) const {
  xdplb_packet packet;
  if (xdplb_classify(frame.data(), frame.data() + frame.size(), &packet) == 0) return KernelVerdict::not_ours;
  const auto rule = find(IpAddr::v6(packet.dst.bytes));
  if (!rule) return KernelVerdict::not_ours;
  if ((packet.flags & XDPLB_PACKET_ND) != 0) return KernelVerdict::neighbour;
  if (rule->portset == 0) return KernelVerdict::redirect;
  const auto set = vips_.portsets.find(rule->portset);
  if (set == vips_.portsets.end() || is_listened_to(packet, set->second)) return KernelVerdict::redirect;
  return KernelVerdict::no_listen;
}

}  // namespace xdplb
