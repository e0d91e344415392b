// What every file of ours in /dev/shm has in common: how it is named, created, opened and checked.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "user/base/result.h"
#include "user/base/unique_fd.h"

namespace xdplb {

// The `--shm` name: letters, digits, '.', '_' and '-', at most 32, not starting with a dot, and not ending as the
// files that go with another name do: "xdplb.flows" is where the flows of "xdplb" are. Made by `parse` only, so a
// name that exists is a good one. The directory is /dev/shm save in tests.
class ShmName {
 public:
  static Result<ShmName> parse(std::string_view text, std::string_view directory = "/dev/shm");

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] const std::string& directory() const { return directory_; }
  // " --shm=NAME" for a command that a message tells to run, nothing for the default name: the same words would
  // otherwise reach another balancer's configuration.
  [[nodiscard]] std::string option() const;
  // path(): the configuration; path(".stats"), path(".flows"): what goes with it.
  [[nodiscard]] std::string path(std::string_view suffix = "") const;

 private:
  ShmName(std::string text, std::string directory) : text_(std::move(text)), directory_(std::move(directory)) {}

  std::string text_;
  std::string directory_;
};

inline constexpr std::string_view kDefaultShmName = "xdplb";

// Opens a file of ours: no symbolic link, a regular file that belongs to us (or to root), for nobody else to write.
Result<UniqueFd> open_shm_file(const std::string& path, bool writable);

// A new file of `size_bytes` without a name in `directory`, mode 0600; `link_shm_file` gives it one, so that nobody
// sees it half made. Error with sys_errno EEXIST where the name is taken.
Result<UniqueFd> create_unnamed_file(const std::string& directory, uint64_t size_bytes);
Result<void> link_shm_file(int fd, const std::string& path);

// The whole range or an error: a short file is one.
Result<void> pread_all(int fd, std::span<uint8_t> bytes, uint64_t offset, const std::string& path);
Result<void> pwrite_all(int fd, std::span<const uint8_t> bytes, uint64_t offset, const std::string& path);

}  // namespace xdplb
