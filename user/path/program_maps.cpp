#include "user/path/program_maps.h"

#include <bpf/bpf.h>

#include <cerrno>

namespace xdplb {
namespace {

Result<std::vector<uint32_t>> map_ids_of(int prog_fd) {
  bpf_prog_info info = {};
  uint32_t info_bytes = sizeof info;
  if (bpf_obj_get_info_by_fd(prog_fd, &info, &info_bytes) != 0)
    return fail_errno(errno, "Cannot query the XDP program");
  std::vector<uint32_t> ids(info.nr_map_ids);
  bpf_prog_info again = {};
  again.nr_map_ids = static_cast<uint32_t>(ids.size());
  again.map_ids = reinterpret_cast<uintptr_t>(ids.data());
  info_bytes = sizeof again;
  if (bpf_obj_get_info_by_fd(prog_fd, &again, &info_bytes) != 0) {
    return fail_errno(errno, "Cannot query the maps of the XDP program");
  }
  return ids;
}

}  // namespace

Result<std::vector<ProgramMap>> maps_of_program(int prog_fd) {
  auto ids = map_ids_of(prog_fd);
  if (!ids) return ids.error();
  std::vector<ProgramMap> maps;
  for (const uint32_t id : *ids) {
    UniqueFd fd(bpf_map_get_fd_by_id(id));
    bpf_map_info info = {};
    uint32_t info_bytes = sizeof info;
    if (!fd.is_open() || bpf_obj_get_info_by_fd(fd.get(), &info, &info_bytes) != 0) {
      return fail_errno(errno, "Cannot open BPF map {} of the XDP program", id);
    }
    const MapShape shape{static_cast<bpf_map_type>(info.type), info.key_size, info.value_size};
    maps.push_back({std::move(fd), shape, info.max_entries});
  }
  return maps;
}

}  // namespace xdplb
