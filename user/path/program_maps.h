// The maps of a loaded program, found through the program: the same whether the daemon loaded it or somebody else
// did, whatever their names and pins. Their shape tells them apart. Control thread only.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <vector>

#include "user/base/result.h"
#include "user/base/unique_fd.h"

namespace xdplb {

// No two maps of one of our programs have the same.
struct MapShape {
  bpf_map_type type;
  uint32_t key_bytes;
  uint32_t value_bytes;
  friend bool operator==(const MapShape&, const MapShape&) = default;
};

struct ProgramMap {
  UniqueFd fd;
  MapShape shape;
  uint32_t entries_max = 0;
};

Result<std::vector<ProgramMap>> maps_of_program(int prog_fd);

}  // namespace xdplb
