#include "user/ctl/config_file.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <unordered_map>

#include "user/ctl/config_json.h"
#include "user/ctl/json_reader.h"
#include "user/ctl/vip_check.h"

namespace xdplb {

namespace {

using Positions = std::unordered_map<std::string_view, uint32_t>;

Positions positions_by_name(const std::vector<Target>& targets) {
  Positions positions;
  for (uint32_t i = 0; i < targets.size(); ++i) positions.emplace(targets[i].name, i);
  return positions;
}

void keep_marks(const Config& in_force, std::vector<Target>& targets) {
  const Positions before = positions_by_name(in_force.targets);
  for (Target& target : targets) {
    const auto known = before.find(target.name);
    if (known != before.end()) target.by_hand = in_force.targets[known->second].by_hand;
  }
}

// Appends the service and those of its targets that the file does not define.
void keep_default_service(const Config& in_force, Service service, Config& file) {
  const Positions defined = positions_by_name(file.targets);
  std::vector<std::pair<const Target*, TargetUse*>> missing;
  for (TargetUse& use : service.targets) {
    const Target& target = in_force.targets[use.target];
    const auto known = defined.find(target.name);
    if (known == defined.end()) {
      missing.emplace_back(&target, &use);
    } else {
      use.target = known->second;
    }
  }
  for (const auto& [target, use] : missing) {
    use->target = static_cast<uint32_t>(file.targets.size());
    file.targets.push_back(*target);
  }
  file.services.push_back(std::move(service));
}

// Not a pipe that the shell made and calls /dev/stdin or /dev/fd/63: that one ends.
bool is_named_fifo(const std::string& path) {
  struct stat st {};
  struct statfs fs {};
  return ::stat(path.c_str(), &st) == 0 && S_ISFIFO(st.st_mode) && ::statfs(path.c_str(), &fs) == 0 &&
         fs.f_type != PIPEFS_MAGIC;
}

}  // namespace

Result<std::string> read_config_text(const std::string& path) {
  if (is_named_fifo(path)) return fail("{} is a FIFO: nobody may ever write to it", path);
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail_errno(errno, "Cannot open {}", path);
  std::string text(kMaxConfigFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return fail_errno(errno, "Cannot read {}", path);
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

std::string place_in_file(const std::string& path, std::string_view text, std::string_view where) {
  return fmt::format("{}:{}", path, find_json_line(text, where));
}

Result<Config> parse_config_file(const std::string& path, std::string_view text) {
  auto config = config_from_json(text);
  if (!config) {
    const std::string& message = config.error().message;
    // Syntax errors have their line already, and a text that is too long has none.
    const size_t where_ends = message.find(": ");
    const bool has_place = message.starts_with("parse error") || where_ends == std::string::npos;
    const std::string place = has_place ? path : place_in_file(path, text, message.substr(0, where_ends));
    return fail("{}: {}", place, message);
  }
  std::error_code unknown;
  const std::filesystem::path absolute = std::filesystem::absolute(path, unknown);
  config->origin = {unknown ? path : absolute.string(), default_service(*config) != nullptr};
  if (auto ok = validate_config(*config); !ok) return fail("{}: {}", path, ok.error().message);
  return config;
}

Result<Config> read_config_file(const std::string& path) {
  const auto text = read_config_text(path);
  if (!text) return text.error();
  return parse_config_file(path, *text);
}

Result<void> check_config_on_host(const Config& config) {
  for (const Service& service : config.services) {
    if (auto ok = check_vips_are_harmless(service.vips); !ok) {
      return fail("service [{}]: {}", service.name, ok.error().message);
    }
  }
  return {};
}

Result<ConfigStore> open_or_create_store(const ShmName& name, const Config& config) {
  auto store = ConfigStore::open(name, ConfigStore::Access::write);
  if (store || store.error().sys_errno != ENOENT) return store;
  store = ConfigStore::create(name, config);
  // Somebody else was quicker by a moment.
  if (!store && store.error().sys_errno == EEXIST) return ConfigStore::open(name, ConfigStore::Access::write);
  return store;
}

Result<Config> merge_file(const Config& in_force, Config file) {
  const Service* kept = in_force.origin.names_default ? nullptr : default_service(in_force);
  if (default_service(file) == nullptr && kept != nullptr) keep_default_service(in_force, *kept, file);
  keep_marks(in_force, file.targets);
  if (auto ok = assign_identities(in_force, file); !ok) return ok.error();
  Config elsewhere = file;
  elsewhere.origin.file = in_force.origin.file;
  return !in_force.origin.file.empty() && elsewhere == in_force ? in_force : file;
}

Result<uint64_t> publish_config(ConfigStore& store, const Config& config) {
  return store.update([&](Config& in_force) -> Result<void> {
    auto merged = merge_file(in_force, config);
    if (!merged) return merged.error();
    in_force = std::move(*merged);
    return {};
  });
}

Result<uint64_t> publish_config_file(ConfigStore& store, const std::string& path) {
  const auto config = read_config_file(path);
  if (!config) return config.error();
  if (auto ok = check_config_on_host(*config); !ok) return fail("{}: {}", path, ok.error().message);
  return publish_config(store, *config);
}

}  // namespace xdplb
