// The statistics in shared memory, /dev/shm/NAME.stats: the daemon's control thread writes, everyone else reads.
//
// The first page is the daemon's sheet: which configuration generation it has adopted, which it refused and why. The
// CLI waits for that, so it is written on its own, at once. Behind it lies the body, self-describing: record sizes,
// counts and the table of drop reasons travel with it, so that a newer `xdplb` reads what an older daemon writes.
// Sheet and body each carry a checksum; a reader that meets a write half done tries again (bounded).
// Never mapped by anybody: a truncated file is an error, not a SIGBUS.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "user/base/result.h"
#include "user/base/unique_fd.h"
#include "user/ctl/shm_file.h"
#include "user/ctl/stats.h"

namespace xdplb {

struct Adoption {
  uint64_t adopted_generation = 0;
  uint64_t refused_generation = 0;  // the last one that could not be used; 0: none
  std::string refused_why;          // at most 255 bytes
};

class StatsWriter {
 public:
  // Replaces a segment left by a daemon that died. Call with the daemon lock held. The destructor removes it.
  static Result<StatsWriter> create(const ShmName& name);
  StatsWriter(StatsWriter&&) = default;
  StatsWriter& operator=(StatsWriter&&) = delete;
  ~StatsWriter();

  Result<void> write_adoption(const Adoption& adoption);
  Result<void> write(const DaemonStats& stats);

 private:
  StatsWriter(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  std::string path_;
  UniqueFd fd_;
};

// Error with sys_errno ENOENT where no daemon has written one.
Result<Adoption> read_adoption(const ShmName& name);
Result<DaemonStats> read_stats(const ShmName& name);

enum class Adopted : uint8_t { yes, refused, no_daemon, timed_out };
struct AdoptionWait {
  Adopted outcome = Adopted::timed_out;
  Adoption last;
  std::chrono::duration<double, std::milli> took{};
};
// Waits until every worker of the daemon uses `generation` or a later one. `took`: from this call on, to a
// millisecond.
AdoptionWait wait_adopted(const ShmName& name, uint64_t generation, std::chrono::milliseconds timeout);

}  // namespace xdplb
