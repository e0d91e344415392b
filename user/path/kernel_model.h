// KernelModel: what xdp_vip would do with a frame, without the kernel: the same header reader (kern/classify.h) and
// the same rules that the daemon puts into the program's maps. For `xdplb replay`. Built whole, then immutable.
//
// It takes a socket for granted: fallback actions are for the time when nobody serves.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "user/path/vip_rules.h"

namespace xdplb {

enum class KernelVerdict : uint8_t {
  redirect,   // to the worker
  not_ours,   // not IP, or for an address that is no VIP
  neighbour,  // neighbour discovery: the host's own
  no_listen,  // for a VIP, but no service names the protocol or port
};

class KernelModel {
 public:
  explicit KernelModel(KernelVips vips);

  [[nodiscard]] KernelVerdict judge(std::span<const uint8_t> frame) const;

 private:
  [[nodiscard]] std::optional<VipRule> find(const IpAddr& addr) const;

  KernelVips vips_;
  std::vector<uint8_t> prefix_lens_;  // of those that are no single address, longest first
};

}  // namespace xdplb
