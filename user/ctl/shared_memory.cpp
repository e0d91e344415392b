#include "user/ctl/shared_memory.h"

#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "user/base/hash.h"
#include "user/ctl/config_wire.h"
#include "user/ctl/file_lock.h"

namespace xdplb {
namespace {

// Which generation is in force. The complement tells a value that was read while it was written: pread and pwrite of
// 16 bytes are not atomic against each other. Against a writer's death they are: the copy into one page is not
// interrupted.
struct Switch {
  uint64_t generation;
  uint64_t complement;
};

struct FileHeader {
  uint8_t magic[8];
  uint32_t layout_version;
  uint32_t header_bytes;
  uint64_t file_bytes;
  uint64_t slot_bytes;
  int32_t writer_pid;  // hints for messages: who took the lock last
  int32_t daemon_pid;
  uint64_t reserved[3];
  Switch active;
};
static_assert(sizeof(FileHeader) == 80 && offsetof(FileHeader, active) == 64);

struct SlotHeader {
  uint64_t generation;
  uint64_t body_bytes;
  uint64_t checksum;  // of the body, seeded with the generation
  uint64_t reserved[5];
};
static_assert(sizeof(SlotHeader) == 64);

constexpr char kMagic[9] = "XDPLBCFG";
constexpr uint32_t kHeaderBytes = 4096;
constexpr uint64_t kFileBytes = kHeaderBytes + 2 * kConfigSlotBytes;
constexpr uint64_t kBodyBytesMax = kConfigSlotBytes - sizeof(SlotHeader);
constexpr int64_t kWriterLockByte = 0;
constexpr int64_t kDaemonLockByte = 1;
// A reader meets a slot that is being written only where two generations passed while it read one.
constexpr int kReadAttempts = 20;

uint64_t slot_offset(uint64_t generation) {
  return kHeaderBytes + (generation % 2) * kConfigSlotBytes;
}

template <typename T>
std::span<uint8_t> bytes_of(T& value) {
  return {reinterpret_cast<uint8_t*>(&value), sizeof value};
}
template <typename T>
std::span<const uint8_t> bytes_of(const T& value) {
  return {reinterpret_cast<const uint8_t*>(&value), sizeof value};
}

Result<void> write_slot(int fd, const Config& config, uint64_t generation, uint32_t layout, const std::string& path) {
  const std::vector<uint8_t> body = encode_config(config, layout);
  if (body.size() > kBodyBytesMax) {
    return fail("The configuration takes {} bytes, {} has room for {}: use fewer targets per service", body.size(),
                path, kBodyBytesMax);
  }
  SlotHeader header{};
  header.generation = generation;
  header.body_bytes = body.size();
  header.checksum = hash_bytes(body.data(), body.size(), generation);
  const uint64_t offset = slot_offset(generation);
  if (auto ok = pwrite_all(fd, bytes_of(header), offset, path); !ok) return ok;
  return pwrite_all(fd, body, offset + sizeof header, path);
}

Result<void> write_switch(int fd, uint64_t generation, const std::string& path) {
  return pwrite_all(fd, bytes_of(Switch{generation, ~generation}), offsetof(FileHeader, active), path);
}

Result<void> write_pid_hint(int fd, size_t field_offset, const std::string& path) {
  return pwrite_all(fd, bytes_of(static_cast<int32_t>(::getpid())), field_offset, path);
}

int read_pid_hint(int fd, size_t field_offset) {
  int32_t pid = 0;
  if (!pread_all(fd, bytes_of(pid), field_offset, "")) return 0;
  return pid > 0 ? pid : 0;
}

std::string holder(int pid) {
  return pid > 0 ? fmt::format("pid {}", pid) : "another process";
}

// A configuration that is made anew does not go on where an old one ended, and a daemon may find flows that knew the
// old one. So the epochs begin anywhere.
uint16_t random_epoch() {
  uint16_t epoch = 0;
  return ::getrandom(&epoch, sizeof epoch, 0) == sizeof epoch ? epoch : static_cast<uint16_t>(::getpid());
}

}  // namespace

Result<ConfigStore> ConfigStore::create(const ShmName& name, Config config) {
  Config before;
  before.last_epoch = random_epoch();
  if (auto ok = assign_identities(before, config); !ok) return ok.error();
  if (auto ok = validate_config(config); !ok) return ok.error();

  auto fd = create_unnamed_file(name.directory(), kFileBytes);
  if (!fd) return fd.error();
  const std::string path = name.path();
  FileHeader header{};
  std::memcpy(header.magic, kMagic, sizeof header.magic);
  header.layout_version = kConfigLayoutVersion;
  header.header_bytes = kHeaderBytes;
  header.file_bytes = kFileBytes;
  header.slot_bytes = kConfigSlotBytes;
  if (auto ok = pwrite_all(fd->get(), bytes_of(header), 0, path); !ok) return ok.error();
  if (auto ok = write_slot(fd->get(), config, 1, kConfigLayoutVersion, path); !ok) return ok.error();
  if (auto ok = write_switch(fd->get(), 1, path); !ok) return ok.error();
  if (auto ok = link_shm_file(fd->get(), path); !ok) return ok.error();
  return ConfigStore(name, std::move(*fd));
}

Result<ConfigStore> ConfigStore::open(const ShmName& name, Access access) {
  auto fd = open_shm_file(name.path(), access == Access::write);
  if (!fd) {
    if (fd.error().sys_errno == ENOENT) {
      return Error{fmt::format("There is no shared memory {}: run `xdplb init{}` first", name.path(), name.option()),
                   ENOENT};
    }
    return fd.error();
  }
  ConfigStore store(name, std::move(*fd));
  if (auto ok = store.check_header(); !ok) return ok.error();
  return store;
}

Result<bool> ConfigStore::remove(const ShmName& name) {
  if (::unlink(name.path().c_str()) == 0) return true;
  if (errno == ENOENT) return false;
  return fail_errno(errno, "Cannot remove {}", name.path());
}

Result<void> ConfigStore::check_header() const {
  const std::string path = name_.path();
  const std::string way_out =
      fmt::format("remove it with `xdplb clean --force{0}` and begin with `xdplb init{0}`", name_.option());
  FileHeader header{};
  if (auto ok = pread_all(fd_.get(), bytes_of(header), 0, path); !ok) {
    return fail("{}; {}", ok.error().message, way_out);
  }
  if (std::memcmp(header.magic, kMagic, sizeof header.magic) != 0) {
    return fail("{} is not a configuration of xdplb; {}", path, way_out);
  }
  if (header.layout_version < kConfigLayoutOldest || header.layout_version > kConfigLayoutVersion) {
    return fail("{} has layout {}, this xdplb knows layouts {} to {}: use the xdplb that made it, or {}", path,
                header.layout_version, kConfigLayoutOldest, kConfigLayoutVersion, way_out);
  }
  struct stat st {};
  if (::fstat(fd_.get(), &st) != 0) return fail_errno(errno, "Cannot stat {}", path);
  if (header.header_bytes != kHeaderBytes || header.slot_bytes != kConfigSlotBytes ||
      header.file_bytes != kFileBytes || static_cast<uint64_t>(st.st_size) != kFileBytes) {
    return fail("{} has {} bytes where layout {} has {}; {}", path, st.st_size, header.layout_version, kFileBytes,
                way_out);
  }
  return {};
}

Result<uint64_t> ConfigStore::generation() const {
  Switch active{};
  for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
    if (auto ok = pread_all(fd_.get(), bytes_of(active), offsetof(FileHeader, active), name_.path()); !ok) {
      return ok.error();
    }
    if (active.complement == ~active.generation && active.generation != 0) return active.generation;
  }
  return fail("{} does not say which generation is in force; remove it with `xdplb clean --force{}`", name_.path(),
              name_.option());
}

// Asked each time: a daemon may have moved the file to another layout since it was opened.
Result<uint32_t> ConfigStore::layout() const {
  uint32_t layout = 0;
  if (auto ok = pread_all(fd_.get(), bytes_of(layout), offsetof(FileHeader, layout_version), name_.path()); !ok) {
    return ok.error();
  }
  if (layout >= kConfigLayoutOldest && layout <= kConfigLayoutVersion) return layout;
  return fail("{} has layout {} now, this xdplb knows layouts {} to {}", name_.path(), layout, kConfigLayoutOldest,
              kConfigLayoutVersion);
}

Result<StoredConfig> ConfigStore::read_slot(uint64_t generation, uint32_t layout) const {
  const std::string path = name_.path();
  const uint64_t offset = slot_offset(generation);
  SlotHeader header{};
  if (auto ok = pread_all(fd_.get(), bytes_of(header), offset, path); !ok) return ok.error();
  if (header.generation != generation || header.body_bytes > kBodyBytesMax) {
    return fail("{}: the slot of generation {} holds something else", path, generation);
  }
  std::vector<uint8_t> body(header.body_bytes);
  if (auto ok = pread_all(fd_.get(), body, offset + sizeof header, path); !ok) return ok.error();
  if (hash_bytes(body.data(), body.size(), generation) != header.checksum) {
    return fail("{}: generation {} does not match its checksum", path, generation);
  }
  auto config = decode_config(body, layout);
  if (!config) return fail("{}: {}", path, config.error().message);
  if (auto ok = validate_config(*config); !ok) return fail("{}: {}", path, ok.error().message);
  return StoredConfig{std::move(*config), generation};
}

Result<StoredConfig> ConfigStore::read() const {
  for (int attempt = 0;; ++attempt) {
    const auto before = generation();
    if (!before) return before.error();
    const auto in_layout = layout();
    if (!in_layout) return in_layout.error();
    auto stored = read_slot(*before, *in_layout);
    if (stored) return stored;
    const auto after = generation();
    if (!after) return after.error();
    // The same generation before and after: nobody was writing, the slot is bad.
    if (*after == *before || attempt == kReadAttempts) return stored;
  }
}

Result<void> ConfigStore::lock_writer() {
  const auto locked = lock_byte(fd_.get(), kWriterLockByte, kWriterLockWait);
  if (!locked) return fail("{}: {}", name_.path(), locked.error().message);
  if (!*locked) {
    return fail("{} is being changed by {}, which has not finished within {} s; is it stopped?", name_.path(),
                holder(read_pid_hint(fd_.get(), offsetof(FileHeader, writer_pid))), kWriterLockWait.count() / 1000);
  }
  return {};
}

Result<uint64_t> ConfigStore::update(const std::function<Result<void>(Config&)>& change) {
  if (auto ok = lock_writer(); !ok) return ok.error();
  const ByteLock unlock_at_end(fd_.get(), kWriterLockByte);
  if (!is_current()) return fail("{} was removed meanwhile", name_.path());
  if (auto ok = write_pid_hint(fd_.get(), offsetof(FileHeader, writer_pid), name_.path()); !ok) return ok.error();

  const auto previous = read();
  if (!previous) return previous.error();
  Config next = previous->config;
  if (auto ok = change(next); !ok) return ok.error();
  return publish(std::move(next), *previous);
}

Result<uint64_t> ConfigStore::publish(Config next, const StoredConfig& previous) {
  if (auto ok = assign_identities(previous.config, next); !ok) return ok.error();
  if (auto ok = validate_config(next); !ok) return ok.error();
  const auto in_layout = layout();
  if (!in_layout) return in_layout.error();
  if (auto ok = check_fits_layout(next, *in_layout); !ok) return ok.error();
  if (*in_layout == 1) next.origin = {};
  if (next == previous.config) return previous.generation;

  const uint64_t generation = previous.generation + 1;
  if (auto ok = fill_slot(next, generation, *in_layout); !ok) return ok.error();
  if (auto ok = write_switch(fd_.get(), generation, name_.path()); !ok) return ok.error();
  return generation;
}

// Writes the slot that is not in force, and looks at what readers will see, before they see it.
Result<void> ConfigStore::fill_slot(const Config& config, uint64_t generation, uint32_t layout) {
  if (auto ok = write_slot(fd_.get(), config, generation, layout, name_.path()); !ok) return ok.error();
  const auto written = read_slot(generation, layout);
  if (!written) return written.error();
  if (written->config != config) return fail("{}: generation {} reads back differently", name_.path(), generation);
  return {};
}

// Layout and generation change with one write, as the generation alone does elsewhere.
Result<void> ConfigStore::upgrade_layout() {
  if (auto ok = lock_writer(); !ok) return ok.error();
  const ByteLock unlock_at_end(fd_.get(), kWriterLockByte);
  const auto stored = read();
  if (!stored) return stored.error();
  FileHeader header{};
  if (auto ok = pread_all(fd_.get(), bytes_of(header), 0, name_.path()); !ok) return ok.error();
  if (header.layout_version == kConfigLayoutVersion) return {};
  const uint64_t generation = stored->generation + 1;
  if (auto ok = fill_slot(stored->config, generation, kConfigLayoutVersion); !ok) return ok.error();
  header.layout_version = kConfigLayoutVersion;
  header.writer_pid = static_cast<int32_t>(::getpid());
  header.active = {generation, ~generation};
  return pwrite_all(fd_.get(), bytes_of(header), 0, name_.path());
}

Result<UniqueFd> ConfigStore::acquire_daemon_lock() {
  // A lock belongs to an open file, so this one needs its own.
  auto fd = open_shm_file(name_.path(), true);
  if (!fd) return fd.error();
  const auto locked = lock_byte(fd->get(), kDaemonLockByte, std::chrono::milliseconds{0});
  if (!locked) return fail("{}: {}", name_.path(), locked.error().message);
  if (!*locked) {
    return fail("A daemon runs on {} already ({}): stop it, or give this one a name of its own with --shm",
                name_.path(), holder(read_pid_hint(fd->get(), offsetof(FileHeader, daemon_pid))));
  }
  if (auto ok = write_pid_hint(fd->get(), offsetof(FileHeader, daemon_pid), name_.path()); !ok) return ok.error();
  return std::move(*fd);
}

std::optional<int> ConfigStore::daemon_running() const {
  if (!is_byte_locked(fd_.get(), kDaemonLockByte)) return std::nullopt;
  return read_pid_hint(fd_.get(), offsetof(FileHeader, daemon_pid));
}

bool ConfigStore::is_current() const {
  struct stat ours {};
  struct stat named {};
  return ::fstat(fd_.get(), &ours) == 0 && ::lstat(name_.path().c_str(), &named) == 0 &&
         ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

}  // namespace xdplb
