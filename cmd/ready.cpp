// xdplb ready: should this balancer be sent traffic? Its exit status is the answer, for whoever moves routes by it.
#include <CLI/CLI.hpp>

#include "cmd/common.h"
#include "user/ctl/ready_wire.h"

namespace xdplb {
namespace {

Result<int> run(const std::string& shm, bool json) {
  const auto name = ShmName::parse(shm);
  if (!name) return name.error();
  const Readiness readiness = ask_ready(control_socket_path(name->text()));
  fmt::print("{}", json ? readiness_to_json(readiness) + "\n" : readiness_to_text(readiness));
  return readiness.is_ready() ? kExitDone : kExitFailed;
}

}  // namespace

Action setup_ready(CLI::App& app) {
  struct Options {
    std::string shm;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  add_shm_option(app, options->shm);
  app.add_flag("--json", options->json, "as JSON");
  return [options] { return run(options->shm, options->json); };
}

}  // namespace xdplb
