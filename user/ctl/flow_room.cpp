#include "user/ctl/flow_room.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>

#include "user/lb/flow_geometry.h"

namespace xdplb {
namespace {

constexpr uint64_t kStatBlockBytes = 512;

double mib(uint64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

uint64_t bytes_taken(const struct stat& st) {
  return static_cast<uint64_t>(st.st_blocks) * kStatBlockBytes;
}

// Of another file that bears the name; 0 where there is none.
uint64_t bytes_of_predecessor(const std::string& path, const struct stat& ours) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 && st.st_ino != ours.st_ino ? bytes_taken(st) : 0;
}

// Nothing where the file system has no bound.
Result<std::optional<uint64_t>> bytes_free(int fd, const std::string& path) {
  struct statvfs fs {};
  if (::fstatvfs(fd, &fs) != 0) return fail_errno(errno, "Cannot ask how much room there is for {}", path);
  if (fs.f_blocks == 0) return std::optional<uint64_t>{};
  return std::optional<uint64_t>{fs.f_bavail * fs.f_frsize};
}

int allocate(int fd, uint64_t offset, uint64_t len_bytes) {
  while (::fallocate(fd, 0, static_cast<off_t>(offset), static_cast<off_t>(len_bytes)) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

}  // namespace

std::string describe_lack_of_room(const std::string& path, const FlowRoom& room) {
  const auto fit = flows_that_fit(room.free_bytes, room.tables);
  std::string text = fmt::format(
      "{}: no room for the flow tables: {:.1f} MiB needed for {}{} worker{} with {} flows each, {:.1f} MiB free; "
      "`mount -o remount,size=...` its file system, --shm-size of a container, or {}",
      path, mib(room.needed_bytes), room.lacking, room.lacking == room.tables ? "" : " more",
      room.lacking == 1 ? "" : "s", room.flows, mib(room.free_bytes),
      fit && *fit < room.flows ? fmt::format("a smaller --flows: {} would fit", *fit) : "make room");
  if (room.replaced_bytes == 0) return text;
  return text + fmt::format("; or remove the file, whose flows are forgotten then: it takes {:.1f} MiB",
                            mib(room.replaced_bytes));
}

std::optional<uint32_t> flows_that_fit(uint64_t free_bytes, size_t tables) {
  const auto fits = [&](uint32_t flows) { return flow_geometry(flows).region_bytes * tables <= free_bytes; };
  if (!fits(kMinFlows)) return std::nullopt;
  uint32_t fit = kMinFlows, too_many = kMaxFlows + 1;
  while (too_many - fit > 1) {
    const uint32_t middle = fit + (too_many - fit) / 2;
    (fits(middle) ? fit : too_many) = middle;
  }
  return fit > 1000 ? fit / 1000 * 1000 : fit;
}

Result<void> take_room(int fd, size_t made, size_t tables, uint32_t flows, const std::string& path) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) return fail_errno(errno, "Cannot stat {}", path);
  const uint64_t table_bytes = flow_geometry(flows).region_bytes;
  const uint64_t end = tables * table_bytes, taken = bytes_taken(st);
  // A page that is taken a second time is cleared at once, instead of when it is needed: keys that no flow has yet.
  if (taken >= end && static_cast<uint64_t>(st.st_size) >= end) return {};
  FlowRoom room{
      .tables = tables, .lacking = tables - made, .flows = flows, .needed_bytes = end - std::min(taken, end)};
  const auto free = bytes_free(fd, path);
  if (!free) return free.error();
  // Looked at first, so that trying again and again does not fill up what others need, too.
  int error = *free && **free < room.needed_bytes ? ENOSPC : 0;
  if (error == 0) error = allocate(fd, made * table_bytes, end - made * table_bytes);
  if (error == 0) return {};
  if (error != ENOSPC) return fail_errno(error, "Cannot take {:.1f} MiB for {}", mib(room.needed_bytes), path);
  room.free_bytes = free->value_or(0);
  room.replaced_bytes = bytes_of_predecessor(path, st);
  return Error{describe_lack_of_room(path, room), ENOSPC};
}

}  // namespace xdplb
