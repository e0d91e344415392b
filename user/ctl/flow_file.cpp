#include "user/ctl/flow_file.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "user/ctl/shm_file.h"

namespace xdplb {

Result<uint32_t> flows_of_file(int fd, const std::string& path) {
  FlowTableHeader header;
  const std::span<uint8_t> bytes(reinterpret_cast<uint8_t*>(&header), sizeof header);
  if (auto r = pread_all(fd, bytes, 0, path); !r) return r.error();
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
  const size_t tables = static_cast<size_t>(st.st_size) / geometry.region_bytes;
  if (tables == 0) return fail("flow table: cut off after {} of {} bytes", st.st_size, geometry.region_bytes);
  return tables;
}

Result<std::span<std::byte>> map_flow_table(int fd, size_t index, const FlowGeometry& geometry,
                                            const std::string& path) {
  const size_t bytes = geometry.region_bytes;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(index * bytes));
  if (memory == MAP_FAILED) return fail_errno(errno, "Cannot map {} bytes of {}", bytes, path);
  // Random access to one line a flow misses the TLB with small pages. Only a hint: the kernel may not have huge ones.
  madvise(memory, bytes, MADV_HUGEPAGE);
  return std::span(static_cast<std::byte*>(memory), bytes);
}

std::vector<ByteRange> written_parts(int fd, size_t index, const FlowGeometry& geometry, size_t begin,
                                     size_t ranges_max) {
  const size_t table = index * geometry.region_bytes, table_end = table + geometry.cold_offset;
  std::vector<ByteRange> parts;
  size_t at = table + begin;
  while (at < table_end && parts.size() < ranges_max) {
    const off_t data = lseek(fd, static_cast<off_t>(at), SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // holes to the end
    const off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
    // A file system that does not tell: there may be something everywhere.
    const size_t from = data < 0 ? at : static_cast<size_t>(data);
    const size_t to = hole < 0 ? table_end : static_cast<size_t>(hole);
    if (from >= table_end) break;
    parts.push_back({from - table, std::min(to, table_end) - table});
    at = to;
  }
  return parts;
}

Result<std::vector<uint64_t>> service_identities(int fd, size_t index, const FlowGeometry& geometry,
                                                 const std::string& path) {
  std::vector<FlowServiceWords> words(kMaxServices);
  const std::span<uint8_t> bytes(reinterpret_cast<uint8_t*>(words.data()), words.size() * sizeof words[0]);
  if (auto r = pread_all(fd, bytes, index * geometry.region_bytes + kFlowServicesOffset, path); !r) return r.error();
  std::vector<uint64_t> identities;
  identities.reserve(words.size());
  for (const FlowServiceWords& w : words) identities.push_back(w.identity);
  return identities;
}

}  // namespace xdplb
