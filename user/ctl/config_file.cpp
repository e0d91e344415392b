#include "user/ctl/config_file.h"

#include <cerrno>
#include <fstream>

#include "user/ctl/config_json.h"
#include "user/ctl/vip_check.h"

namespace xdplb {

Result<Config> read_config_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail_errno(errno, "Cannot open {}", path);
  std::string text(kMaxConfigFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return fail("Cannot read {}", path);
  text.resize(static_cast<size_t>(file.gcount()));
  auto config = config_from_json(text);
  if (!config) return fail("{}: {}", path, config.error().message);
  return config;
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

Result<uint64_t> publish_config(ConfigStore& store, const Config& config) {
  return store.update([&](Config& in_force) -> Result<void> {
    in_force = config;
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
