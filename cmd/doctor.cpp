// xdplb doctor: what of this host would keep a balancer, or a server behind one, from working well. Changes nothing.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cmd/common.h"
#include "user/path/doctor.h"

namespace xdplb {
namespace {

struct Options {
  std::string shm;
  std::vector<std::string> ingress;
  std::string egress;
  bool server = false;
  std::vector<std::string> vips;
  std::string device;
  bool json = false;
};

size_t count_of(const std::vector<Finding>& findings, Severity severity) {
  return static_cast<size_t>(
      std::count_if(findings.begin(), findings.end(), [&](const Finding& f) { return f.severity == severity; }));
}

void print_text(const std::vector<Finding>& findings) {
  for (const Finding& f : findings) {
    fmt::print("{:<8} {:<12} {}\n", to_string(f.severity), f.check, f.what);
    if (!f.why.empty()) fmt::print("{:21} why: {}\n", "", f.why);
    if (!f.mend.empty()) fmt::print("{:21} mend: {}\n", "", f.mend);
  }
  const size_t errors = count_of(findings, Severity::error), warnings = count_of(findings, Severity::warning);
  fmt::print("{} error{}, {} warning{}\n", errors, errors == 1 ? "" : "s", warnings, warnings == 1 ? "" : "s");
}

void print_json(const std::vector<Finding>& findings) {
  using Json = nlohmann::ordered_json;
  Json list = Json::array();
  for (const Finding& f : findings) {
    list.push_back({{"check", f.check},
                    {"severity", to_string(f.severity)},
                    {"what", f.what},
                    {"why", f.why.empty() ? Json() : Json(f.why)},
                    {"mend", f.mend.empty() ? Json() : Json(f.mend)}});
  }
  const Json json = {{"errors", count_of(findings, Severity::error)},
                     {"warnings", count_of(findings, Severity::warning)},
                     {"findings", std::move(list)}};
  fmt::print("{}\n", json.dump(1));
}

// Those named, and those of the shared memory, if there is one.
Result<std::vector<IpPrefix>> balancer_vips(const Options& options) {
  std::vector<IpPrefix> vips;
  for (const std::string& text : options.vips) {
    const auto vip = parse_prefix(text);
    if (!vip) return vip.error();
    vips.push_back(*vip);
  }
  const auto store = open_store(options.shm, ConfigStore::Access::read);
  if (!store) return vips;  // not initialised yet
  const auto stored = store->read();
  if (!stored) return stored.error();
  for (const Service& service : stored->config.services) {
    vips.insert(vips.end(), service.vips.begin(), service.vips.end());
  }
  std::sort(vips.begin(), vips.end());
  vips.erase(std::unique(vips.begin(), vips.end()), vips.end());
  return vips;
}

Result<std::vector<Finding>> examine_as_balancer(const Options& options) {
  const auto vips = balancer_vips(options);
  if (!vips) return vips.error();
  const auto facts = examine_balancer(options.ingress, options.egress, *vips);
  if (!facts) return facts.error();
  return check_balancer(*facts);
}

Result<std::vector<Finding>> examine_as_server(const Options& options) {
  std::vector<IpAddr> vips;
  for (const std::string& text : options.vips) {
    const auto vip = parse_prefix(text);
    if (!vip) return vip.error();
    if (!vip->is_host()) return fail("Invalid --vip [{}]: a single address, as it lies on the server", text);
    vips.push_back(vip->addr);
  }
  const auto facts = examine_server(options.device, vips);
  if (!facts) return facts.error();
  return check_server(*facts);
}

Result<int> run(const Options& options) {
  const bool balancer = !options.ingress.empty() && !options.egress.empty();
  if (options.server ? !options.ingress.empty() || !options.egress.empty() : !balancer || !options.device.empty()) {
    return wrong_usage("Which host: a balancer, --idev DEV --edev DEV, or --server [--dev DEV]");
  }
  const auto findings = options.server ? examine_as_server(options) : examine_as_balancer(options);
  if (!findings) return findings.error();
  if (options.json) {
    print_json(*findings);
  } else {
    print_text(*findings);
  }
  return count_of(*findings, Severity::ok) == findings->size() ? kExitDone : kExitWarnings;
}

}  // namespace

Action setup_doctor(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_shm_option(app, options->shm);
  app.add_option("--idev", options->ingress, "ingress device, or several, as for `lb`")->delimiter(',');
  app.add_option("--edev", options->egress, "egress device, as for `lb`");
  app.add_flag("--server", options->server, "this host is a server behind a balancer");
  app.add_option("--vip", options->vips,
                 "a VIP to look for; else those of the shared memory, or with --server those on lo");
  app.add_option("--dev", options->device, "with --server: the device on the balancer's segment (default route's)");
  app.add_flag("--json", options->json, "as JSON");
  return [options] { return run(*options); };
}

}  // namespace xdplb
