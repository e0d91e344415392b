// The file of the flow tables as such: what lies in it, and how a table is mapped. Control thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "user/base/result.h"
#include "user/lb/flow_geometry.h"

namespace xdplb {

// How many flows each table of the file is made for, by its first one; checked, so that it has a geometry. Error
// where no table that we understand lies there.
Result<uint32_t> flows_of_file(int fd, const std::string& path);

// How many whole tables of this geometry the file has. Room at its end that no table was made in does not count: a
// daemon died while it grew.
Result<size_t> tables_of_file(int fd, const FlowGeometry& geometry, const std::string& path);

// The `index`-th table, mapped to be read and written, at a multiple of kFlowAlignBytes.
Result<std::span<std::byte>> map_flow_table(int fd, size_t index, const FlowGeometry& geometry,
                                            const std::string& path);

// Moves the buckets of a mapped table, which must have all its pages (take_room), to huge pages: one of them is read
// for each packet, and which is random, so with a million flows small pages miss the TLB each time. /dev/shm has none
// by itself (shmem_enabled is `never` nearly everywhere); MADV_COLLAPSE asks only that it is not `deny`. False: the
// kernel is older than 6.1, or has no huge pages now, and some or all of the buckets stay on small ones; that is only
// slower.
bool collapse_buckets(std::span<std::byte> table, const FlowGeometry& geometry);

}  // namespace xdplb
