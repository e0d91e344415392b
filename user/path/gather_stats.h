// What the daemon publishes as its statistics, gathered from where it is counted. Control thread only.
#pragma once

#include <span>

#include "user/lb/neighbour_watch.h"
#include "user/path/data_plane.h"

namespace xdplb {

struct StatsSources {
  const Config& config;
  const WorkerSlots& slots;
  const DataPlane* plane;                 // null while a device is away
  std::span<const XskStatistics> kernel;  // by worker, as of the last inspection
  uint32_t flows_max;                     // of each worker's table
  const NeighbourWatch& neighbours;
  const Snapshot& snapshot;                 // of `config`
  const std::vector<DeviceStats>& devices;  // as of the last inspection
};

// Everything but what the daemon knows of itself: pid, generation, modes, when it started.
DaemonStats gather_stats(const StatsSources& from);

}  // namespace xdplb
