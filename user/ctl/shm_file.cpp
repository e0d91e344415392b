#include "user/ctl/shm_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace xdplb {
namespace {

constexpr size_t kMaxShmNameLen = 32;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
         c == '-';
}

}  // namespace

Result<ShmName> ShmName::parse(std::string_view text, std::string_view directory) {
  if (text.empty() || text.size() > kMaxShmNameLen || text[0] == '.' ||
      !std::all_of(text.begin(), text.end(), is_name_character)) {
    return fail("Invalid shared memory name [{}]: 1 to {} letters, digits, '.', '_' or '-', not starting with '.'",
                text, kMaxShmNameLen);
  }
  for (const std::string_view suffix : {".flows", ".stats"}) {
    if (!text.ends_with(suffix)) continue;
    return fail("Invalid shared memory name [{}]: what ends in {} goes with the name before it", text, suffix);
  }
  return ShmName(std::string(text), std::string(directory));
}

std::string ShmName::option() const {
  return text_ == kDefaultShmName ? "" : " --shm=" + text_;
}

std::string ShmName::path(std::string_view suffix) const {
  return fmt::format("{}/{}{}", directory_, text_, suffix);
}

Result<UniqueFd> open_shm_file(const std::string& path, bool writable) {
  // O_NONBLOCK: a FIFO of that name must not hold us up before it is found out.
  const int flags = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  UniqueFd fd(::open(path.c_str(), flags));
  if (!fd.is_open()) {
    if (errno == ELOOP) return Error{fmt::format("{} is a symbolic link: refused", path), ELOOP};
    return fail_errno(errno, "Cannot open {}", path);
  }
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return fail_errno(errno, "Cannot stat {}", path);
  if (!S_ISREG(st.st_mode)) return fail("{} is not a regular file: refused", path);
  if (st.st_uid != ::geteuid() && st.st_uid != 0) {
    return fail("{} belongs to uid {}, not to us: refused; remove it if it is not wanted", path, st.st_uid);
  }
  if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return fail("{} has mode {:04o}, others may write to it: refused; `chmod 600` it if you trust what it holds",
                path, st.st_mode & 07777u);
  }
  return fd;
}

Result<UniqueFd> create_unnamed_file(const std::string& directory, uint64_t size_bytes) {
  UniqueFd fd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd.is_open()) return fail_errno(errno, "Cannot create a file in {}", directory);
  // Whatever the umask: the mode is part of the contract.
  if (::fchmod(fd.get(), 0600) != 0) return fail_errno(errno, "Cannot set the mode of a file in {}", directory);
  if (::ftruncate(fd.get(), static_cast<off_t>(size_bytes)) != 0) {
    return fail_errno(errno, "Cannot make a file of {} bytes in {}", size_bytes, directory);
  }
  return fd;
}

Result<void> link_shm_file(int fd, const std::string& path) {
  const std::string self = fmt::format("/proc/self/fd/{}", fd);
  if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    return fail_errno(errno, "Cannot create {}", path);
  }
  return {};
}

Result<void> pread_all(int fd, std::span<uint8_t> bytes, uint64_t offset, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "Cannot read {}", path);
    if (n == 0) return fail("{} is cut short: nothing at offset {}", path, offset);
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

Result<void> pwrite_all(int fd, std::span<const uint8_t> bytes, uint64_t offset, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail_errno(n < 0 ? errno : EIO, "Cannot write {}", path);
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

}  // namespace xdplb
