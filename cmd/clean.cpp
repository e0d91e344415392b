// xdplb clean: removes the shared memory, and the daemon's files beside it. Succeeds where there is none.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>

#include "cmd/common.h"

namespace xdplb {
namespace {

Result<int> run(const std::string& shm, bool force) {
  const auto name = ShmName::parse(shm);
  if (!name) return name.error();
  if (!force) {
    const auto store = ConfigStore::open(*name, ConfigStore::Access::read);
    if (!store && store.error().sys_errno != ENOENT) return store.error();
    if (store) {
      if (const auto pid = store->daemon_running()) {
        return fail("A daemon (pid {}) runs on {}: stop it first, or use --force", *pid, name->path());
      }
    }
  }
  for (const char* suffix : {".stats", ".flows"}) {
    const std::string path = name->path(suffix);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, "Cannot remove {}", path);
  }
  const auto removed = ConfigStore::remove(*name);
  if (!removed) return removed.error();
  fmt::print("{} {}\n", name->path(), *removed ? "is removed" : "was not there");
  return kExitDone;
}

}  // namespace

Action setup_clean(CLI::App& app) {
  struct Options {
    std::string shm;
    bool force = false;
  };
  auto options = std::make_shared<Options>();
  add_shm_option(app, options->shm);
  app.add_flag("--force", options->force, "although a daemon runs, or what is there cannot be read");
  return [options] { return run(options->shm, options->force); };
}

}  // namespace xdplb
