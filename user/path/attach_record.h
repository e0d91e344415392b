// AttachRecord: what a daemon attached and pinned, written down so that the next one can tell the leavings of a crash
// from what an operator put there. A small text file under /run (gone after a reboot, as attachments are), written
// whole and renamed into place; removed on a clean stop. Control thread only.
//
//   program 412
//   attached 7 native
//   pin /sys/fs/bpf/lb/xdp_vip
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "user/base/result.h"

namespace xdplb {

struct AttachRecord {
  struct Device {
    uint32_t ifindex = 0;
    bool generic = false;
    friend bool operator==(const Device&, const Device&) = default;
  };
  uint32_t prog_id = 0;
  std::vector<Device> devices;
  std::vector<std::string> pins;

  [[nodiscard]] bool covers(uint32_t of_prog_id, uint32_t ifindex) const;
  friend bool operator==(const AttachRecord&, const AttachRecord&) = default;
};

Result<void> save_record(const std::string& path, const AttachRecord& record);
// An empty record where there is no file, or none that makes sense: then nothing is known to be ours.
AttachRecord load_record(const std::string& path);
void remove_record(const std::string& path);

}  // namespace xdplb
