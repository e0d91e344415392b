// The file of the flow tables as such: what lies in it, without looking where nothing does: a page that nobody
// wrote is a hole only as long as nobody looks at it through a mapping (user/lb/flow_geometry.h, ByteRange). Control
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "user/base/result.h"
#include "user/lb/flow_geometry.h"

namespace xdplb {

// How many flows each table of the file is made for, by its first one; checked, so that it has a geometry. Error
// where no table that we understand lies there.
Result<uint32_t> flows_of_file(int fd, const std::string& path);

// How many whole tables of this geometry the file has.
Result<size_t> tables_of_file(int fd, const FlowGeometry& geometry, const std::string& path);

// The `index`-th table, mapped to be read and written.
Result<std::span<std::byte>> map_flow_table(int fd, size_t index, const FlowGeometry& geometry,
                                            const std::string& path);

// What of the `index`-th table, from `begin` up to its keys, was ever written: ranges in it, in their order. At most
// `ranges_max` of them.
std::vector<ByteRange> written_parts(int fd, size_t index, const FlowGeometry& geometry, size_t begin,
                                     size_t ranges_max = ~size_t{0});

// Whose flows those of each service id are, for the `index`-th table; 0: nobody's.
Result<std::vector<uint64_t>> service_identities(int fd, size_t index, const FlowGeometry& geometry,
                                                 const std::string& path);

}  // namespace xdplb
