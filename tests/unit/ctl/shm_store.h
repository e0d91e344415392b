// What tests of the shared memory have in common.
#pragma once

#include <catch2/catch.hpp>
#include <string>

#include "user/ctl/shared_memory.h"

namespace xdplb {

inline ConfigStore make_store(const ShmName& name, uint32_t targets = 4) {
  auto store = ConfigStore::create(name, make_default_config(997, targets));
  REQUIRE(store);
  return std::move(*store);
}

inline Result<void> activate_first(Config& config) {
  config.targets[0].state = TargetState::active;
  config.targets[0].mac = MacAddr{{2, 0, 0, 0, 0, 1}};
  return {};
}

inline std::string open_error(const ShmName& name) {
  const auto store = ConfigStore::open(name, ConfigStore::Access::read);
  return store ? "" : store.error().message;
}

}  // namespace xdplb
