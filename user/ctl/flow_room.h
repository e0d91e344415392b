// Room for the flow tables: every page of them is taken before the first packet. They are mapped, so a write to a
// page that their file system has no room for would end the daemon (SIGBUS). Control thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "user/base/result.h"

namespace xdplb {

struct FlowRoom {
  size_t tables = 0;   // that the file is to have
  size_t lacking = 0;  // of those
  uint32_t flows = 0;
  uint64_t needed_bytes = 0;
  uint64_t free_bytes = 0;
  uint64_t replaced_bytes = 0;  // what the tables take that these are to replace
};

// Why tables cannot be made, and the ways out.
std::string describe_lack_of_room(const std::string& path, const FlowRoom& room);

// The largest `--flows` with which so many tables fit; nothing where none does.
std::optional<uint32_t> flows_that_fit(uint64_t free_bytes, size_t tables);

// Makes the file have every page of its first `tables` tables, of which it has `made` already. All or nothing: where
// there is no room the file is as it was, and the error (ENOSPC) says what could be done. `path` is what the file is
// or will be called.
Result<void> take_room(int fd, size_t made, size_t tables, uint32_t flows, const std::string& path);

}  // namespace xdplb
