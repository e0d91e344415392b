#include "user/ctl/stats_segment.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <thread>

#include "user/base/hash.h"
#include "user/ctl/shared_memory.h"
#include "user/ctl/stats_wire.h"

namespace xdplb {
namespace {

constexpr std::string_view kSuffix = ".stats";
constexpr char kMagic[9] = "XDPLBSTA";
constexpr uint32_t kLayoutVersion = 1;
constexpr uint64_t kBodyOffset = 4096;
constexpr uint64_t kBodyBytesMax = 64u << 20;
constexpr std::chrono::milliseconds kPause{1};
constexpr int kReadAttempts = 100;

struct Sheet {
  uint8_t magic[8];
  uint32_t layout_version;
  uint32_t reserved;
  uint64_t adopted_generation;
  uint64_t refused_generation;
  char refused_why[256];
  uint64_t checksum;  // of what stands before it
};
static_assert(sizeof(Sheet) == 296);

struct BodyPrefix {
  uint64_t body_bytes;
  uint64_t checksum;
};

uint64_t checksum_of(const Sheet& sheet) {
  return hash_bytes(&sheet, offsetof(Sheet, checksum), 0);
}

template <typename T>
std::span<uint8_t> bytes_of(T& value) {
  return {reinterpret_cast<uint8_t*>(&value), sizeof value};
}

Result<UniqueFd> open_segment(const ShmName& name) {
  auto fd = open_shm_file(name.path(kSuffix), false);
  if (!fd && fd.error().sys_errno == ENOENT) {
    return Error{
        fmt::format("There are no statistics in {}: no daemon runs on [{}]", name.path(kSuffix), name.text()),
        ENOENT};
  }
  return fd;
}

// Nothing where the sheet is being written just now.
Result<std::optional<Adoption>> try_read_sheet(int fd, const std::string& path) {
  Sheet sheet{};
  if (auto ok = pread_all(fd, bytes_of(sheet), 0, path); !ok) return ok.error();
  if (std::memcmp(sheet.magic, kMagic, sizeof sheet.magic) != 0) return fail("{} holds no statistics of xdplb", path);
  if (sheet.layout_version != kLayoutVersion) {
    return fail("{} has layout {}, this xdplb knows layout {}: use the xdplb that the daemon came with", path,
                sheet.layout_version, kLayoutVersion);
  }
  if (sheet.checksum != checksum_of(sheet)) return std::optional<Adoption>{};
  Adoption adoption;
  adoption.adopted_generation = sheet.adopted_generation;
  adoption.refused_generation = sheet.refused_generation;
  adoption.refused_why.assign(sheet.refused_why, ::strnlen(sheet.refused_why, sizeof sheet.refused_why));
  return std::optional<Adoption>{std::move(adoption)};
}

Result<std::optional<DaemonStats>> try_read_body(int fd, const std::string& path) {
  BodyPrefix prefix{};
  if (auto ok = pread_all(fd, bytes_of(prefix), kBodyOffset, path); !ok) return ok.error();
  if (prefix.body_bytes > kBodyBytesMax)
    return fail("{}: {} bytes of statistics are too many", path, prefix.body_bytes);
  struct stat st {};
  if (::fstat(fd, &st) != 0) return fail_errno(errno, "Cannot stat {}", path);
  if (kBodyOffset + sizeof prefix + prefix.body_bytes > static_cast<uint64_t>(st.st_size)) {
    return std::optional<DaemonStats>{};
  }
  std::vector<uint8_t> body(prefix.body_bytes);
  if (auto ok = pread_all(fd, body, kBodyOffset + sizeof prefix, path); !ok) return ok.error();
  if (hash_bytes(body.data(), body.size(), 0) != prefix.checksum) return std::optional<DaemonStats>{};
  auto stats = decode_stats(body);
  if (!stats) return stats.error();
  return std::optional<DaemonStats>{std::move(*stats)};
}

template <typename T>
Result<T> read_patiently(const ShmName& name, Result<std::optional<T>> (*try_read)(int, const std::string&)) {
  const auto fd = open_segment(name);
  if (!fd) return fd.error();
  for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
    auto value = try_read(fd->get(), name.path(kSuffix));
    if (!value) return value.error();
    if (*value) return std::move(**value);
    std::this_thread::sleep_for(kPause);
  }
  return fail("{} does not match its checksum: restart the daemon", name.path(kSuffix));
}

}  // namespace

Result<StatsWriter> StatsWriter::create(const ShmName& name) {
  const std::string path = name.path(kSuffix);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, "Cannot replace {}", path);
  auto fd = create_unnamed_file(name.directory(), kBodyOffset);
  if (!fd) return fd.error();
  StatsWriter writer("", std::move(*fd));
  if (auto ok = writer.write_adoption({}); !ok) return ok.error();
  if (auto ok = writer.write({}); !ok) return ok.error();
  if (auto ok = link_shm_file(writer.fd_.get(), path); !ok) return ok.error();
  writer.path_ = path;
  return writer;
}

StatsWriter::~StatsWriter() {
  if (fd_.is_open() && !path_.empty()) ::unlink(path_.c_str());
}

Result<void> StatsWriter::write_adoption(const Adoption& adoption) {
  Sheet sheet{};
  std::memcpy(sheet.magic, kMagic, sizeof sheet.magic);
  sheet.layout_version = kLayoutVersion;
  sheet.adopted_generation = adoption.adopted_generation;
  sheet.refused_generation = adoption.refused_generation;
  std::memcpy(sheet.refused_why, adoption.refused_why.data(),
              std::min(adoption.refused_why.size(), sizeof sheet.refused_why - 1));
  sheet.checksum = checksum_of(sheet);
  return pwrite_all(fd_.get(), bytes_of(sheet), 0, path_);
}

Result<void> StatsWriter::write(const DaemonStats& stats) {
  const std::vector<uint8_t> body = encode_stats(stats);
  if (body.size() > kBodyBytesMax) return fail("{} bytes of statistics are too many", body.size());
  BodyPrefix prefix{body.size(), hash_bytes(body.data(), body.size(), 0)};
  std::vector<uint8_t> bytes(sizeof prefix);
  std::memcpy(bytes.data(), &prefix, sizeof prefix);
  bytes.insert(bytes.end(), body.begin(), body.end());
  return pwrite_all(fd_.get(), bytes, kBodyOffset, path_);
}

Result<Adoption> read_adoption(const ShmName& name) {
  return read_patiently<Adoption>(name, try_read_sheet);
}

Result<DaemonStats> read_stats(const ShmName& name) {
  return read_patiently<DaemonStats>(name, try_read_body);
}

AdoptionWait wait_adopted(const ShmName& name, uint64_t generation, std::chrono::milliseconds timeout) {
  const auto began = std::chrono::steady_clock::now();
  AdoptionWait wait;
  const auto store = ConfigStore::open(name, ConfigStore::Access::read);
  for (;;) {
    if (!store || !store->daemon_running()) {
      wait.outcome = Adopted::no_daemon;
      return wait;
    }
    // A daemon that is just starting holds the lock before it has written its sheet.
    if (const auto adoption = read_adoption(name)) {
      wait.last = *adoption;
      if (adoption->adopted_generation >= generation) wait.outcome = Adopted::yes;
      if (adoption->refused_generation >= generation) wait.outcome = Adopted::refused;
      if (wait.outcome != Adopted::timed_out) return wait;
    }
    if (wait.took >= timeout) return wait;
    std::this_thread::sleep_for(kPause);
    wait.took = std::chrono::steady_clock::now() - began;
  }
}

}  // namespace xdplb
