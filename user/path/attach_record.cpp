#include "user/path/attach_record.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>

namespace xdplb {

bool AttachRecord::covers(uint32_t of_prog_id, uint32_t ifindex) const {
  return prog_id == of_prog_id &&
         std::any_of(devices.begin(), devices.end(), [ifindex](const Device& d) { return d.ifindex == ifindex; });
}

Result<void> save_record(const std::string& path, const AttachRecord& record) {
  const std::string dir = path.substr(0, path.rfind('/'));
  if (mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno(errno, "Cannot make directory {}", dir);
  const std::string fresh = path + ".new";
  {
    std::ofstream out(fresh, std::ios::trunc);
    out << "program " << record.prog_id << '\n';
    for (const AttachRecord::Device& d : record.devices) {
      out << "attached " << d.ifindex << (d.generic ? " generic\n" : " native\n");
    }
    for (const std::string& pin : record.pins) out << "pin " << pin << '\n';
    if (!out.flush()) return fail_errno(errno, "Cannot write {}", fresh);
  }
  if (rename(fresh.c_str(), path.c_str()) != 0) return fail_errno(errno, "Cannot rename {} to {}", fresh, path);
  return {};
}

AttachRecord load_record(const std::string& path) {
  AttachRecord record;
  std::ifstream in(path);
  std::string line;
  while (std::getline(in, line)) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (word == "program") {
      words >> record.prog_id;
    } else if (word == "attached") {
      AttachRecord::Device device;
      std::string mode;
      words >> device.ifindex >> mode;
      device.generic = mode == "generic";
      record.devices.push_back(device);
    } else if (word == "pin" && line.size() > 4) {
      record.pins.push_back(line.substr(4));
    }
    if (words.fail()) return {};
  }
  return record;
}

void remove_record(const std::string& path) {
  unlink(path.c_str());
}

}  // namespace xdplb
