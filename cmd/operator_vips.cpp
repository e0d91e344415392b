#include "cmd/operator_vips.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <set>

#include "user/ctl/netlink.h"
#include "user/path/bpf_maps.h"

namespace xdplb {
namespace {

// Programs that are not ours are passed over: of_program tells.
void add_vips_of(const UniqueFd& program, std::vector<IpAddr>& vips) {
  if (!program.is_open()) return;
  const auto maps = BpfMaps::of_program(program.get());
  if (!maps) return;
  const auto found = maps->operator_vips();
  if (found) vips.insert(vips.end(), found->begin(), found->end());
}

}  // namespace

std::vector<IpAddr> list_operator_vips(const std::string& shm) {
  std::vector<IpAddr> vips;
  std::set<uint32_t> programs;
  if (const auto links = list_links()) {
    for (const LinkInfo& link : *links) programs.insert({link.xdp_native_id, link.xdp_generic_id});
  }
  programs.erase(0);
  for (const uint32_t id : programs) add_vips_of(UniqueFd(bpf_prog_get_fd_by_id(id)), vips);
  if (programs.empty()) {
    const std::string pin = shm == "xdplb" ? "/sys/fs/bpf/lb/xdp_vip" : "/sys/fs/bpf/lb-" + shm + "/xdp_vip";
    add_vips_of(UniqueFd(bpf_obj_get(pin.c_str())), vips);
  }
  // Several devices may share the maps.
  std::sort(vips.begin(), vips.end());
  vips.erase(std::unique(vips.begin(), vips.end()), vips.end());
  return vips;
}

}  // namespace xdplb
