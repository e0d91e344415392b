// ConfigStore: the configuration as it lies in shared memory, /dev/shm/NAME. The CLI writes it, the daemon follows
// it.
//
// The file is a header page and two slots (user/ctl/config_wire says what a slot holds). The header names the
// generation in force; its slot is generation % 2. A writer takes the writer lock, fills the *other* slot, reads it
// back and checks it, and then switches the generation with one small write: whatever instant it dies at, either the
// old or the new configuration is in force, whole. Slots are sparse: a small configuration takes a few pages.
//
// The header also names the layout of the slots. Both layouts are read and written (user/ctl/config_wire), whichever
// the file has, until a daemon that starts moves it to the newest.
//
// Nobody maps the file. It is read with pread into private memory and every count in it is checked again, so a
// truncated, torn or hostile file is an error with a text and never a fault. Opened with O_NOFOLLOW; owner and mode
// are checked.
//
// Locks are open-file-description locks (fcntl F_OFD_SETLK) on single bytes of the file: the kernel releases them
// when the holder dies. They do not tell the holder's pid, so the holder writes that into the header as a hint.
//
// Threads: one object belongs to one thread. Any number of processes may hold one on the same file.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "user/base/result.h"
#include "user/base/unique_fd.h"
#include "user/ctl/shm_file.h"
#include "user/lb/config.h"

namespace xdplb {

inline constexpr uint64_t kConfigSlotBytes = 16u << 20;
inline constexpr std::chrono::milliseconds kWriterLockWait{2000};

struct StoredConfig {
  Config config;
  uint64_t generation = 0;
};

class ConfigStore {
 public:
  enum class Access { read, write };

  // Makes the file with `config` as generation 1. Appears whole or not at all. Error where the name is taken
  // (sys_errno EEXIST). The targets get fresh identities.
  static Result<ConfigStore> create(const ShmName& name, Config config);

  // Error where there is none (sys_errno ENOENT: "run `xdplb init`"), where it is not ours, or of another layout.
  static Result<ConfigStore> open(const ShmName& name, Access access);

  // Removes the file. True where there was one. Does not ask whether a daemon runs.
  static Result<bool> remove(const ShmName& name);

  // The generation in force: one pread, for the daemon's poll.
  [[nodiscard]] Result<uint64_t> generation() const;

  // What is in force, decoded and validated.
  [[nodiscard]] Result<StoredConfig> read() const;

  // Changes the configuration under the writer lock: `change` edits a copy of what is in force; where it returns an
  // error nothing happens. Targets get their identities and the result is validated. Returns the generation then in
  // force, which is the old one where nothing changed. Waits up to kWriterLockWait for another writer.
  Result<uint64_t> update(const std::function<Result<void>(Config&)>& change);

  // Writes what is in force in the newest layout, as a generation of its own; nothing where it is in that already.
  // For a daemon that starts: it holds the daemon lock, so no older one reads the file.
  Result<void> upgrade_layout();

  // Held by the daemon for as long as it lives; the kernel releases it. Error names the daemon that runs already.
  Result<UniqueFd> acquire_daemon_lock();

  // The pid of the daemon that holds the lock (0 where it has not said), or nothing.
  [[nodiscard]] std::optional<int> daemon_running() const;

  // False where the file was removed or replaced since: the daemon that holds this object follows a ghost.
  [[nodiscard]] bool is_current() const;

  [[nodiscard]] const ShmName& name() const { return name_; }

 private:
  ConfigStore(ShmName name, UniqueFd fd) : name_(std::move(name)), fd_(std::move(fd)) {}

  [[nodiscard]] Result<void> check_header() const;
  [[nodiscard]] Result<uint32_t> layout() const;
  Result<void> lock_writer();
  [[nodiscard]] Result<StoredConfig> read_slot(uint64_t generation, uint32_t layout) const;
  Result<void> fill_slot(const Config& config, uint64_t generation, uint32_t layout);
  Result<uint64_t> publish(Config next, const StoredConfig& previous);

  ShmName name_;
  UniqueFd fd_;
};

}  // namespace xdplb
