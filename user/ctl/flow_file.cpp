#include "user/ctl/flow_file.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "user/base/map_aligned.h"
#include "user/ctl/shm_file.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // Linux 5.14
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // Linux 6.1
#endif

namespace xdplb {
namespace {

Result<void> read_header(int fd, uint64_t offset, const std::string& path, FlowTableHeader& header) {
  return pread_all(fd, {reinterpret_cast<uint8_t*>(&header), sizeof header}, offset, path);
}

}  // namespace

Result<uint32_t> flows_of_file(int fd, const std::string& path) {
  FlowTableHeader header;
  if (auto r = read_header(fd, 0, path, header); !r) return r.error();
  if (header.magic != kFlowMagic) return fail("flow table: not one (magic {:016x})", header.magic);
  if (header.version != kFlowLayoutVersion) {
    return fail("flow table: version {}, not {}", header.version, kFlowLayoutVersion);
  }
  if (header.flows < kMinFlows || header.flows > kMaxFlows) return fail("flow table: size {}", header.flows);
  return header.flows;
}

Result<size_t> tables_of_file(int fd, const FlowGeometry& geometry, const std::string& path) {
  struct stat st {};
  if (fstat(fd, &st) != 0) return fail_errno(errno, "Cannot stat {}", path);
  size_t tables = static_cast<size_t>(st.st_size) / geometry.region_bytes;
  if (tables == 0) return fail("flow table: cut off after {} of {} bytes", st.st_size, geometry.region_bytes);
  for (; tables > 1; --tables) {
    FlowTableHeader last;
    if (auto r = read_header(fd, (tables - 1) * geometry.region_bytes, path, last); !r) return r.error();
    if (last.magic != 0) break;
  }
  return tables;
}

Result<std::span<std::byte>> map_flow_table(int fd, size_t index, const FlowGeometry& geometry,
                                            const std::string& path) {
  const size_t bytes = geometry.region_bytes;
  // Where huge pages fit: tables begin at multiples of one in the file, too.
  void* const memory = map_aligned(bytes, kFlowAlignBytes, MAP_SHARED, fd, static_cast<off_t>(index * bytes));
  if (memory == MAP_FAILED) return fail_errno(errno, "Cannot map {} bytes of {}", bytes, path);
  return std::span(static_cast<std::byte*>(memory), bytes);
}

bool collapse_buckets(std::span<std::byte> table, const FlowGeometry& geometry) {
  const size_t bytes = geometry.buckets * sizeof(FlowBucket);
  // What the last huge page has beside buckets are keys of the same table, whose length is a multiple of one.
  const size_t whole_pages = (bytes + kFlowAlignBytes - 1) / kFlowAlignBytes * kFlowAlignBytes;
  std::byte* const buckets = table.data() + geometry.buckets_offset;
  // Those that nobody looked at yet are cleared first: the other call would do that one by one, and take four times
  // as long. A kernel that can only do this (5.14) spares the sweeper the first round's faults.
  madvise(buckets, whole_pages, MADV_POPULATE_WRITE);
  return madvise(buckets, whole_pages, MADV_COLLAPSE) == 0;
}

}  // namespace xdplb
